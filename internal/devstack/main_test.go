package devstack_test

import (
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"example.com/payment/internal/rocketmq"
)

// TestMain looks for leaked goroutines, but for those of the RocketMQ client, whose bookkeeping
// sleeps for up to a day after a shutdown.
func TestMain(m *testing.M) {
	rocketmq.QuietClientLogs(zap.NewNop())
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("github.com/apache/rocketmq-client-go/v2/primitive.WithRecover"),
		goleak.IgnoreAnyFunction(
			"github.com/apache/rocketmq-client-go/v2/consumer.(*pushConsumer).pullMessage"))
}
