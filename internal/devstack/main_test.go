package devstack_test

import (
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"example.com/payment/internal/rocketmq"
	"example.com/payment/internal/rocketmq/rocketmqtest"
)

// TestMain looks for leaked goroutines.
func TestMain(m *testing.M) {
	rocketmq.QuietClientLogs(zap.NewNop())
	goleak.VerifyTestMain(m, rocketmqtest.Leaks()...)
}
