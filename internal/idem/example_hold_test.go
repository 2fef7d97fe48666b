package idem_test

import (
	"context"
	"fmt"
	"time"

	"example.com/payment/internal/idem"
)

// Operations wait out an outage in place, instead of failing one by one.
func ExampleHold() {
	hold := idem.NewHold(idem.HoldOptions{
		MinBackoff: time.Millisecond,
		OnChange: func(cause error) {
			if cause != nil {
				fmt.Println("held:", cause)
			} else {
				fmt.Println("let go")
			}
		},
	})
	attempts := 0
	err := hold.Do(context.Background(), func(context.Context) error {
		if attempts++; attempts < 3 {
			return fmt.Errorf("server is starting: %w", idem.ErrUnavailable)
		}
		return nil
	})
	fmt.Println(attempts, "attempts, error:", err)

	// Output:
	// held: server is starting: unavailable
	// let go
	// 3 attempts, error: <nil>
}
