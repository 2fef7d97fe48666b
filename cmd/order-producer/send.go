package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/order"
)

// sendFlags are one order as it is typed.
type sendFlags struct {
	orderID, serial, payer, payee, amount, currency string
	rawBody, key, messageID                         string
}

// sent is what send prints.
type sent struct {
	OrderID   string `json:"order_id"`
	Serial    string `json:"serial_no,omitempty"`
	MessageID string `json:"message_id"`
	Status    status `json:"status"`
	Queue     *int   `json:"queue,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
	Sends     int    `json:"sends"`
	Error     string `json:"error,omitempty"`
}

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	var format string
	cmd := &cobra.Command{
		Use:   "send",
		Short: "send one order",
		Long: `Send sends one order. The order ID and the serial number are minted unless they are given.
To repeat a request, give both, with the same content: it is a new message and is paid once.
With --message-id too it is the same message once more, as after a lost answer.

A serial number names one request for ever. When the status is unknown the message may be
stored: send it again with the serial number that was printed, never with a new one.

With --raw-body the text, or what @FILE or @- (standard input) holds, is sent as it is, valid or
not, under --key. That is for trying out what becomes of malformed messages.`,
		Example: `  order-producer send --payer user-1 --payee shop-1 --amount 19.99
  order-producer send --payer user-1 --payee shop-1 --amount 500 --currency JPY -o json
  order-producer send --order-id ORDERID_100 --serial PAY_100 \
      --payer user-1 --payee shop-1 --amount 19.99
  order-producer send --raw-body '{"version":1,' --key ORDERID_101`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.send(cmd, f, format)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.orderID, "order-id", "", "`ID` of the order (default: minted)")
	flags.StringVar(&f.serial, "serial", "", "payment `SERIAL` number (default: minted)")
	flags.StringVar(&f.payer, "payer", "", "`ACCOUNT` that pays")
	flags.StringVar(&f.payee, "payee", "", "`ACCOUNT` that is paid")
	flags.StringVar(&f.amount, "amount", "", "decimal `AMOUNT` of the currency, such as 19.99")
	flags.StringVar(&f.currency, "currency", "CNY", "`CODE` of the currency, ISO 4217")
	flags.StringVar(&f.rawBody, "raw-body", "", "send this `TEXT`, @FILE or @- as it is")
	flags.StringVar(&f.key, "key", "", "`KEY` of a raw message (default: a minted order ID)")
	flags.StringVar(&f.messageID, "message-id", "",
		"send the message with this `ID` once more (default: a new message)")
	cli.OutputFlag(cmd, &format, "text", "json", "jsonl")
	return cmd
}

func (a *app) send(cmd *cobra.Command, f sendFlags, format string) error {
	record, body, err := a.compose(cmd, f)
	if err != nil {
		return cli.Usage(err)
	}
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	return a.withBroker(cmd, cfg, func(s *sender) error {
		d := s.send(cmd.Context(), record.OrderID, f.messageID, body)
		record.fill(d)
		if err := a.printSent(record, format); err != nil {
			return err
		}
		switch {
		case d.status == acknowledged:
			return nil
		case cmd.Context().Err() != nil:
			return cli.Exit(cli.ExitSignaled)
		}
		return cli.Exit(cli.ExitFailed)
	})
}

// compose makes the message and the beginning of the record.
func (a *app) compose(cmd *cobra.Command, f sendFlags) (sent, []byte, error) {
	if cmd.Flags().Changed("raw-body") {
		return a.composeRaw(cmd, f)
	}
	if f.key != "" {
		return sent{}, nil, fmt.Errorf("--key goes with --raw-body; an order's Key is its order ID")
	}
	o, err := f.order()
	if err != nil {
		return sent{}, nil, err
	}
	return sent{OrderID: string(o.ID), Serial: string(o.Serial)}, order.Encode(o), nil
}

func (a *app) composeRaw(cmd *cobra.Command, f sendFlags) (sent, []byte, error) {
	for _, name := range []string{"order-id", "serial", "payer", "payee", "amount", "currency"} {
		if cmd.Flags().Changed(name) {
			return sent{}, nil, fmt.Errorf("--%s does not go with --raw-body, which is the whole "+
				"message", name)
		}
	}
	body, err := a.rawBody(f.rawBody)
	if err != nil {
		return sent{}, nil, err
	}
	if len(body) == 0 {
		return sent{}, nil, fmt.Errorf("--raw-body is empty, and brokers refuse empty messages")
	}
	if f.key == "" {
		f.key = mintOrderID()
	}
	return sent{OrderID: f.key}, body, nil
}

// rawBody reads what --raw-body points to, within the limit of a message.
func (a *app) rawBody(text string) ([]byte, error) {
	name, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return []byte(text), nil
	}
	in := a.stdin
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // the user names the file
		if err != nil {
			return nil, fmt.Errorf("--raw-body: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	limit := order.DefaultLimits().MaxBody
	body, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("--raw-body: %w", err)
	case len(body) > limit:
		return nil, fmt.Errorf("--raw-body: %s is longer than %d bytes", text, limit)
	}
	return body, nil
}

// order checks the flags. Each error names its flag.
func (f sendFlags) order() (o order.Order, err error) {
	for _, required := range []struct{ flag, value, example string }{
		{"payer", f.payer, "user-1"}, {"payee", f.payee, "shop-1"}, {"amount", f.amount, "19.99"},
	} {
		if required.value == "" {
			return o, fmt.Errorf("--%s is missing; for example --%s %s",
				required.flag, required.flag, required.example)
		}
	}
	if f.orderID == "" {
		f.orderID = mintOrderID()
	}
	if f.serial == "" {
		f.serial = mintSerial()
	}
	if o.ID, err = order.ParseID(f.orderID); err != nil {
		return o, fmt.Errorf("--order-id %q: %w", f.orderID, err)
	}
	if o.Serial, err = order.ParseSerial(f.serial); err != nil {
		return o, fmt.Errorf("--serial %q: %w", f.serial, err)
	}
	if o.Payer, err = order.ParseAccount(f.payer); err != nil {
		return o, fmt.Errorf("--payer %q: %w", f.payer, err)
	}
	if o.Payee, err = order.ParseAccount(f.payee); err != nil {
		return o, fmt.Errorf("--payee %q: %w", f.payee, err)
	}
	currency, err := order.ParseCurrency(f.currency)
	if err != nil {
		return o, fmt.Errorf("--currency %q: %w", f.currency, err)
	}
	if o.Amount, err = order.ParseMoney(f.amount, currency); err == nil {
		err = o.Validate(order.DefaultLimits()) // all but the amount is valid by now
	}
	if err != nil {
		return o, fmt.Errorf("--amount %q: %w", f.amount, err)
	}
	return o, nil
}

// mintOrderID and mintSerial make names that sort by time and are unique without asking anybody.
func mintOrderID() string { return "ORDERID_" + uuid.Must(uuid.NewV7()).String() }
func mintSerial() string  { return "PAY_" + uuid.Must(uuid.NewV7()).String() }

func (r *sent) fill(d delivery) {
	r.MessageID, r.Status, r.Sends = d.MessageID, d.status, d.sends
	if d.status == acknowledged {
		r.Queue, r.Offset = &d.Queue, &d.Offset
	}
	if d.err != nil {
		r.Error = oneLine(d.err)
	}
}

func (a *app) printSent(r sent, format string) error {
	switch format {
	case "json":
		return a.PrintJSON(r)
	case "jsonl":
		return json.NewEncoder(a.Stdout).Encode(r)
	}
	a.Printf("%s  order %s", r.Status, r.OrderID)
	if r.Serial != "" {
		a.Printf("  serial %s", r.Serial)
	}
	a.Printf("  message %s", r.MessageID)
	if r.Queue != nil {
		a.Printf("  queue %d  offset %d", *r.Queue, *r.Offset)
	}
	a.Printf("  sends %d\n", r.Sends)
	if r.Error != "" {
		_, _ = fmt.Fprintln(a.Stderr, "order-producer:", r.Error)
	}
	if r.Status == unknown && r.Serial != "" {
		_, _ = fmt.Fprintf(a.Stderr, "order-producer: it may be stored; send it again with "+
			"--order-id %s --serial %s and the same content\n", r.OrderID, r.Serial)
	}
	return nil
}
