package rocketmq

import (
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The client repeats the same line for each queue every few seconds while something is wrong: of
// each text so many lines pass in such a time.
const (
	clientLogWindow = 10 * time.Second
	clientLogLines  = 5
)

// QuietClientLogs sends the client's log to log, without the content of any message. The client
// has one logger for the whole process and guards it with nothing: call this once, before the
// first consumer, producer or reader is made.
//
// The client's own logger writes whole messages with its warnings, for each failure, and a
// line for each queue every five seconds. Here only a fixed set of fields passes, and only as
// numbers and short texts; routine lines become debug lines.
func QuietClientLogs(log *zap.Logger) {
	sampled := zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, clientLogWindow, clientLogLines, 0)
	})
	rlog.SetLogger(&clientLog{log: log.Named("rocketmq").WithOptions(sampled)})
}

// clientLog is the client's logger.
type clientLog struct {
	log *zap.Logger
}

var _ rlog.Logger = (*clientLog)(nil)

func (c *clientLog) Debug(msg string, fields map[string]any) {
	c.write(zapcore.DebugLevel, msg, fields)
}

// Info is the client's chatter: several lines per queue every five seconds.
func (c *clientLog) Info(msg string, fields map[string]any) {
	c.write(zapcore.DebugLevel, msg, fields)
}

func (c *clientLog) Warning(msg string, fields map[string]any) {
	if routine(msg) {
		c.write(zapcore.DebugLevel, msg, fields)
		return
	}
	c.write(zapcore.WarnLevel, msg, fields)
}

func (c *clientLog) Error(msg string, fields map[string]any) {
	c.write(zapcore.ErrorLevel, msg, fields)
}

// Fatal does not end the process: what cannot go on is for its owner to decide.
func (c *clientLog) Fatal(msg string, fields map[string]any) {
	c.write(zapcore.ErrorLevel, msg, fields)
}

// Level does nothing: the level is log's.
func (c *clientLog) Level(string) {}

// OutputPath does nothing: the place is log's.
func (c *clientLog) OutputPath(string) error { return nil }

func (c *clientLog) write(level zapcore.Level, msg string, fields map[string]any) {
	entry := c.log.Check(level, bounded(msg))
	if entry == nil {
		return
	}
	safe := make([]zap.Field, 0, len(fields))
	for name, value := range fields {
		if field, ok := safeField(name, value); ok {
			safe = append(safe, field)
		}
	}
	entry.Write(safe...)
}

// routine names the warnings that a healthy consumer gives: working flow control, and results
// that came after their queue had moved to another consumer, or after the end.
func routine(msg string) bool {
	switch msg {
	case "the cached message count exceeds the threshold, so do flow control",
		"the cached message size exceeds the threshold, so do flow control",
		"the queue's messages span too long, so do flow control",
		"processQueue is dropped without process consume result.":
		return true
	}
	return false
}

// safeField lets through what cannot hold content or a secret. The names are those of the client;
// a name that is not here is dropped, and so is a value that is not a number, a short text, an
// error or a queue.
func safeField(name string, value any) (zap.Field, bool) {
	switch name {
	case rlog.LogKeyProducerGroup, rlog.LogKeyConsumerGroup, rlog.LogKeyTopic,
		rlog.LogKeyMessageQueue, rlog.LogKeyUnderlayError, rlog.LogKeyBroker,
		rlog.LogKeyValueChangedFrom, rlog.LogKeyValueChangedTo, rlog.LogKeyPullRequest,
		rlog.LogKeyMessageId, rlog.LogKeyStoreHost, rlog.LogKeyQueueId, rlog.LogKeyQueueOffset,
		"offset", "minOffset", "maxOffset", "maxSpan", "count", "size(MiB)", "flowControlTimes",
		"nextBeginOffset", "firstMsgOffset", "prevRequestOffset", "responseCode", "remark",
		"clientID", "clientId", "brokerName", "brokerId", "brokerID", "brokerAddr",
		"lastBroker", "newBroker", "remoteAddr", "localAddr", "mqAllSize", "cidAllSize",
		"rebalanceResultSize":
		return safeValue(name, value)
	}
	return zap.Field{}, false
}

func safeValue(name string, value any) (zap.Field, bool) {
	switch v := value.(type) {
	case string:
		return zap.String(name, bounded(v)), true
	case bool:
		return zap.Bool(name, v), true
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64,
		time.Duration:
		return zap.Any(name, v), true
	case error:
		return zap.String(name, bounded(v.Error())), true
	case primitive.MessageQueue:
		return zap.String(name, queueName(v)), true
	case *primitive.MessageQueue:
		if v != nil {
			return zap.String(name, queueName(*v)), true
		}
	}
	return zap.Field{}, false
}

func queueName(q primitive.MessageQueue) string {
	return bounded(fmt.Sprintf("%s/%s/%d", q.Topic, q.BrokerName, q.QueueId))
}
