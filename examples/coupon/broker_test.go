package coupon

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/redis"
	"example.com/payment/internal/rocketmq"
)

// TestHandler_OnRealServers is the whole service: a topic of RocketMQ, the cache in Redis, and the
// store. The only thing of payments in it is how the wrapper of the client calls a message.
func TestHandler_OnRealServers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	rocketmq.QuietClientLogs(zap.NewNop())
	servers := strings.Split(setting(t, "PAYMENT_ROCKETMQ_NAME_SERVERS"), ",")
	topic := "COUPON_CLAIM_" + rand.Text()[:8]
	admin, err := rocketmq.NewAdmin(servers, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.CreateTopic(ctx, setting(t, "PAYMENT_TEST_BROKER"), topic, 4); err != nil {
		t.Fatal(err)
	}
	store := newStore(t, 1)
	guard := idem.New(store, openCache(t, store, topic), idem.Options{})
	t.Cleanup(guard.Close)
	replies := make(chan Reply, 16)
	handler := Handler{
		Guard: guard,
		Hold:  idem.NewHold(idem.HoldOptions{}),
		Send: func(ctx context.Context, r Reply) error {
			select {
			case replies <- r:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		SetAside: func(context.Context, []byte, error) error { return nil },
	}
	consumer, err := rocketmq.NewConsumer(rocketmq.ConsumerConfig{
		NameServers: servers, Group: "coupon_" + topic, Topic: topic, MaxCached: 65535,
	}, func(ctx context.Context, m payment.Message) payment.Disposition {
		if handler.Handle(ctx, m.Body) {
			return payment.Acknowledge
		}
		return payment.Redeliver
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := consumer.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ending, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := consumer.Drain(ending); err != nil {
			t.Error(err)
		}
	})
	producer, err := rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: servers, Group: "coupon_sender_" + topic,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })

	ask := func(c Claim) Reply {
		body, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = producer.Send(ctx, rocketmq.Outgoing{Topic: topic, Key: c.RequestID, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		for {
			select {
			case r := <-replies:
				if r.RequestID == c.RequestID { // or the broker has repeated an older one
					return r
				}
			case <-ctx.Done():
				t.Fatalf("no reply to %+v", c)
			}
		}
	}
	ada, grace := claim("R1", "ada").Payload, claim("R2", "grace").Payload
	got := []Reply{ask(ada), ask(ada), ask(grace)}
	want := []Reply{
		{RequestID: "R1", Answer: Answer{Coupon: "SPRING-1"}},
		{RequestID: "R1", Answer: Answer{Coupon: "SPRING-1"}, Duplicate: true},
		{RequestID: "R2", Answer: Answer{Refused: SoldOut}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
}

// openCache opens the project's cache in Redis, as it is, for these answers.
func openCache(t *testing.T, store *Store, prefix string) idem.Cache[Answer] {
	t.Helper()
	keys, err := redis.ParseKeyring(setting(t, "PAYMENT_CACHE_KEYS"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := redis.New[Answer](redis.Config{
		Address: setting(t, "PAYMENT_REDIS_ADDRESS"), Password: os.Getenv("PAYMENT_REDIS_PASSWORD"),
		KeyPrefix: prefix + ":", Keys: keys,
	}, store.Epoch, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	return cache
}
