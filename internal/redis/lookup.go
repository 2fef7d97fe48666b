package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/idem"
)

// Get returns the records of these keys that are there and verify. An error comes with whatever
// was read before it; the keys it left open are looked up in the database like any miss.
func (c *Cache[R]) Get(
	ctx context.Context, keys []idem.Key,
) (map[idem.Key]idem.Record[R], error) {
	found := make(map[idem.Key]idem.Record[R], len(keys))
	epoch, ok := c.epoch()
	if !ok {
		c.count(Miss, len(keys))
		return found, nil
	}
	budget, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	answered := 0
	for part := range slices.Chunk(keys, maxPipeline) {
		failed := c.lookups.do(ctx, func() *failure {
			n, failed := c.getPart(budget, epoch, part, found)
			answered += n
			return failed
		})
		if failed != nil {
			c.count(Failed, len(keys)-answered)
			return found, fmt.Errorf("redis %s: look up %d keys: %w",
				c.cfg.Address, len(keys), failed)
		}
	}
	failpoint.Hit(failpoint.CacheRead)
	return found, nil
}

// getPart reads one pipeline's worth of keys, adds what verifies to found, and returns how many
// keys Redis answered for.
func (c *Cache[R]) getPart(
	ctx context.Context, epoch string, keys []idem.Key, found map[idem.Key]idem.Record[R],
) (int, *failure) {
	replies, failed := c.read(ctx, keys)
	tally := map[Result]int{}
	for i, reply := range replies {
		switch {
		case reply.err != nil:
		case reply.wrongType:
			tally[Stale]++
		case reply.value == "":
			tally[Miss]++
		default:
			record, problem := open[R](c.cfg.Keys, epoch, keys[i], []byte(reply.value))
			if problem != "" {
				tally[Stale]++
				continue
			}
			tally[Hit]++
			found[keys[i]] = record
		}
	}
	answered := 0
	for result, n := range tally {
		c.count(result, n)
		answered += n
	}
	return answered, failed
}

func (c *Cache[R]) count(result Result, n int) {
	if n > 0 {
		c.cfg.Hooks.Lookup(result, n)
	}
}

// reply is what Redis said of one key. An empty value is a key that is not there.
type reply struct {
	value     string
	wrongType bool
	err       error
}

// read asks for the values of keys in one round trip, one command per key, since MGET fails as
// a whole on a cluster and on one key of another type.
//
// GETRANGE instead of GET bounds what comes over the wire: somebody's 512 MB under one of our
// keys costs this process one value's worth of memory.
func (c *Cache[R]) read(ctx context.Context, keys []idem.Key) ([]reply, *failure) {
	pipe := c.client.Pipeline()
	cmds := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.GetRange(ctx, c.name(key), 0, maxValue)
	}
	_, err := pipe.Exec(ctx)
	replies := make([]reply, len(keys))
	for i, cmd := range cmds {
		replies[i] = replyOf(cmd)
	}
	return replies, settle(replies, err)
}

// replyOf believes a value even beside an error: when a connection fails halfway, the client
// puts the error on every command of the pipeline, those that were answered included.
func replyOf(cmd *redis.StringCmd) reply {
	value, err := cmd.Result()
	switch {
	case value != "":
		return reply{value: value}
	case isWrongType(err):
		return reply{wrongType: true}
	default:
		return reply{err: err}
	}
}

// settle returns the failure of a pipeline, or nil if Redis answered for every key. The client
// reports the first failed command, which may be no more than a key of another type; and it
// reports a refused password without marking the commands, which were then never sent.
func settle(replies []reply, execErr error) *failure {
	if execErr == nil {
		return nil
	}
	wrongType := false
	for i := range replies {
		if replies[i].err != nil {
			return describe(replies[i].err)
		}
		wrongType = wrongType || replies[i].wrongType
	}
	if wrongType {
		return nil
	}
	for i := range replies {
		replies[i].err = execErr
	}
	return describe(execErr)
}

// Put stores records that are already committed. It sends them in one round trip, each with its
// own expiry; on an error some of them may be there all the same, which is as good as it gets.
func (c *Cache[R]) Put(ctx context.Context, records []idem.Record[R]) error {
	epoch, ok := c.epoch()
	if !ok || len(records) == 0 {
		return nil
	}
	budget, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var errs []error
	for part := range slices.Chunk(records, maxPipeline) {
		values, err := c.seal(epoch, part)
		if err != nil {
			errs = append(errs, err)
		}
		if failed := c.putPart(ctx, budget, values); failed != nil {
			errs = append(errs, fmt.Errorf("redis %s: store %d records: %w",
				c.cfg.Address, len(values), failed))
		}
	}
	failpoint.Hit(failpoint.CacheWritten)
	return errors.Join(errs...)
}

type entry struct {
	name  string
	value []byte
}

// seal signs what can be signed. A record that no value can hold does not keep the others out.
func (c *Cache[R]) seal(epoch string, records []idem.Record[R]) ([]entry, error) {
	entries := make([]entry, 0, len(records))
	var failed error
	for _, record := range records {
		value, err := seal(c.cfg.Keys, epoch, record)
		if err != nil {
			c.cfg.Hooks.Write(false, 1)
			failed = err
			continue
		}
		entries = append(entries, entry{name: c.name(record.Key), value: value})
	}
	return entries, failed
}

func (c *Cache[R]) putPart(caller, budget context.Context, entries []entry) *failure {
	if len(entries) == 0 {
		return nil
	}
	stored := 0
	failed := c.writes.do(caller, func() (failed *failure) {
		stored, failed = c.write(budget, entries)
		return failed
	})
	if stored > 0 {
		c.cfg.Hooks.Write(true, stored)
	}
	if lost := len(entries) - stored; lost > 0 {
		c.cfg.Hooks.Write(false, lost)
	}
	return failed
}

// write sends one pipeline and returns how many of its values Redis confirmed. It counts the
// replies and not the errors, which a command that was never sent may lack.
func (c *Cache[R]) write(ctx context.Context, entries []entry) (int, *failure) {
	pipe := c.client.Pipeline()
	for _, e := range entries {
		pipe.Set(ctx, e.name, e.value, c.expiry())
	}
	cmds, err := pipe.Exec(ctx)
	stored := 0
	for _, cmd := range cmds {
		if status, ok := cmd.(*redis.StatusCmd); ok && status.Val() == "OK" {
			stored++
		}
	}
	if err != nil {
		return stored, describe(err)
	}
	return stored, nil
}

// expiry draws the lifetime of one value.
func (c *Cache[R]) expiry() time.Duration {
	if c.cfg.ExpiryJitter <= 0 {
		return c.cfg.Expiry
	}
	return c.cfg.Expiry + rand.N(c.cfg.ExpiryJitter) //nolint:gosec // no secret
}

func (c *Cache[R]) name(key idem.Key) string { return c.cfg.KeyPrefix + string(key) }
