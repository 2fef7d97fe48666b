package cases

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

const (
	mebibyte = 1 << 20
	// bomb is what a compressed bomb grows to; it is sent in about a thousandth of that.
	bomb = 100 * mebibyte
	// bombMemory bounds the consumer's memory while it takes a bomb. The client decompresses a
	// body before anybody can look at its size, into a buffer that doubles; the bound for one bomb
	// is a small multiple of it.
	bombMemory = 12 * bomb
)

// bodies sends what the client library refuses to send, or would not compress.
func bodies(ctx context.Context, t *trial) error {
	if err := emptyBody(ctx, t); err != nil {
		return err
	}
	if err := compressed(ctx, t); err != nil {
		return err
	}
	return dropBomb(ctx, t)
}

// emptyBody: the broker refuses a message without a body, and stores nothing.
func emptyBody(ctx context.Context, t *trial) error {
	before, err := stored(ctx, t.Rig, devstack.OrderTopic)
	if err != nil {
		return err
	}
	m, err := t.Wire(ctx, faults.Wire{Key: string(t.Sender.Order().ID)})
	if err == nil || m.Status != faults.Failed {
		return fmt.Errorf("a message without a body is %s, want it refused", m.Status)
	}
	after, err := stored(ctx, t.Rig, devstack.OrderTopic)
	if err == nil && after != before {
		err = errors.New("a message without a body was refused and stored")
	}
	if err == nil {
		t.Journal.Fired("hostile message", "no body: refused by the broker")
	}
	return err
}

// compressed sends bodies that are said to be compressed. Inside one there is room for no body.
func compressed(ctx context.Context, t *trial) error {
	o := t.Sender.Order()
	good, err := t.Wire(ctx, faults.Wire{
		Key: string(o.ID), Body: deflate(faults.Body(o)), Compressed: true, Arrives: faults.Body(o),
	})
	if err != nil {
		return err
	}
	t.answered = append(t.answered, expectation{good, "a compressed order", ""})
	for what, body := range map[string][]byte{
		"the beginning of a compressed body": deflate(faults.Body(o))[:20],
		"a body that is not compressed":      []byte("\x78\x9c" + string(faults.Body(o))),
	} {
		m, err := t.Wire(ctx, faults.Wire{
			Key: string(t.Sender.Order().ID), Body: body, Compressed: true,
		})
		if err != nil {
			return err
		}
		t.reject(m, what, order.CodeBadUTF8)
	}
	empty, err := t.Wire(ctx, faults.Wire{
		Key: string(t.Sender.Order().ID), Body: deflate(nil), Compressed: true, Arrives: []byte{},
	})
	if err != nil {
		return err
	}
	t.reject(empty, "an empty body, compressed", order.CodeEmpty)
	return nil
}

// dropBomb sends a body that grows a thousandfold, and looks at the consumer's memory.
func dropBomb(ctx context.Context, t *trial) error {
	whole := make([]byte, bomb)
	m, err := t.Wire(ctx, faults.Wire{
		Key: string(t.Sender.Order().ID), Body: deflate(whole), Compressed: true,
		Arrives: whole[:mebibyte], // as much as the quarantine keeps
	})
	if err != nil {
		return err
	}
	t.reject(m, "a compressed bomb", order.CodeTooLarge)
	kept, err := await(ctx, "the bomb in quarantine", func() (faults.Kept, bool, error) {
		return t.Kept(ctx, m.ID)
	})
	if err != nil {
		return err
	}
	// What Go has ever taken from the system, given back or not; what a race detector takes beside
	// it is not the consumer's.
	peak, err := metric(ctx, t.consumer, "go_memstats_sys_bytes")
	if err != nil {
		return err
	}
	t.Say("a bomb of %d MiB in a message: the consumer came to %.0f MiB", bomb/mebibyte, peak/mebibyte)
	if kept.BodyBytes != bomb {
		return fmt.Errorf("the bomb arrived with %d bytes", kept.BodyBytes)
	}
	if peak > bombMemory {
		return fmt.Errorf("the consumer took %.0f MiB for a body of %d MiB",
			peak/mebibyte, bomb/mebibyte)
	}
	return nil
}

func deflate(body []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = w.Write(body)
	_ = w.Close()
	return out.Bytes()
}
