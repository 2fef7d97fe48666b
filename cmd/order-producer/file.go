package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"example.com/payment/internal/order"
)

// Formats of a file of orders.
const (
	formatJSONL = "jsonl"
	formatCSV   = "csv"
)

// fileFormat goes by what was asked for, and else by the file's name.
func fileFormat(path, asked string) (string, error) {
	switch asked {
	case formatJSONL, formatCSV:
		return asked, nil
	case "":
	default:
		return "", fmt.Errorf("--format %q: must be jsonl or csv", asked)
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jsonl", ".ndjson":
		return formatJSONL, nil
	case ".csv":
		return formatCSV, nil
	}
	return "", fmt.Errorf("--file %s: say with --format whether it is jsonl or csv", path)
}

// readFile gives the orders of a file, as first messages. It holds one line at a time. The name
// is for errors.
func readFile(name string, in io.Reader, format string) source {
	l := newLines(name, in)
	if format == formatJSONL {
		return l.each(parseJSON)
	}
	return func(yield func(message, error) bool) {
		header, err := l.header()
		if err != nil {
			yield(message{}, fmt.Errorf("%s: %w", name, err))
			return
		}
		l.each(header.parse)(yield)
	}
}

// parseJSON reads an order message. The line itself is sent, so that fields which this program
// does not know reach a consumer that does.
func parseJSON(line []byte) (message, error) {
	var claimed struct {
		OrderID string `json:"order_id"`
	}
	_ = json.Unmarshal(line, &claimed) // the strict reader finds the same fault and says it better
	o, err := order.Decode(claimed.OrderID, line, order.DefaultLimits())
	if err != nil {
		return message{}, err
	}
	return message{kind: first, order: o, key: string(o.ID), body: bytes.Clone(line)}, nil
}

// columns are those of a CSV file, in the order of its header.
type columns []string

// wantedColumns are those that a header must have, and all that it may have.
func wantedColumns() []string {
	return []string{"order_id", "serial_no", "payer", "payee", "amount", "currency"}
}

func parseHeader(line []byte) (columns, error) {
	found, err := parseRecord(line)
	if err != nil {
		return nil, err
	}
	wanted := wantedColumns()
	for n, column := range found {
		switch {
		case !slices.Contains(wanted, column):
			return nil, fmt.Errorf("the header has %q; it must name %s, with commas between them",
				shortened(column), strings.Join(wanted, ", "))
		case slices.Contains(found[:n], column):
			return nil, fmt.Errorf("the header has %s twice", column)
		}
	}
	for _, column := range wanted {
		if !slices.Contains(found, column) {
			return nil, fmt.Errorf("the header lacks %s; it must name %s", column,
				strings.Join(wanted, ", "))
		}
	}
	return found, nil
}

func (c columns) parse(line []byte) (message, error) {
	record, err := parseRecord(line)
	if err != nil {
		return message{}, err
	}
	if len(record) != len(c) {
		return message{}, fmt.Errorf("has %d fields, and the header %d", len(record), len(c))
	}
	field := func(name string) string { return record[slices.Index(c, name)] }
	o := order.Order{
		ID: order.ID(field("order_id")), Serial: order.Serial(field("serial_no")),
		Payer: order.Account(field("payer")), Payee: order.Account(field("payee")),
	}
	currency, err := order.ParseCurrency(field("currency"))
	if err != nil {
		return message{}, err
	}
	if o.Amount, err = order.ParseMoney(field("amount"), currency); err != nil {
		return message{}, err
	}
	if err := o.Validate(order.DefaultLimits()); err != nil {
		return message{}, err
	}
	return valid(first, o), nil
}

// parseRecord reads one line of CSV. No field has a use for a line break, and a reader that
// allows them takes everything behind a stray quote for one field.
func parseRecord(line []byte) ([]string, error) {
	record, err := csv.NewReader(bytes.NewReader(line)).Read()
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return nil, fmt.Errorf("is not CSV: %w", parse.Err)
	}
	if err != nil {
		return nil, err
	}
	for i := range record {
		record[i] = strings.TrimSpace(record[i])
	}
	return record, nil
}

// shortened keeps a message about somebody's text readable.
func shortened(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}

// lines reads lines of bounded length.
type lines struct {
	file   string
	in     *bufio.Reader
	number int
}

// maxLine is the length limit of a line, in bytes: a message and some space around it.
const maxLine = 64<<10 + 1024

var errLineTooLong = fmt.Errorf("is longer than %d bytes", maxLine)

func newLines(name string, in io.Reader) *lines {
	return &lines{file: name, in: bufio.NewReaderSize(in, maxLine)}
}

// next returns the next line that is not blank, until the next call. A line that is too long is
// passed over, with errLineTooLong.
func (l *lines) next() ([]byte, error) {
	for {
		line, err := l.in.ReadSlice('\n')
		l.number++
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = l.in.ReadSlice('\n')
			}
			if err == nil || errors.Is(err, io.EOF) {
				err = errLineTooLong
			}
			return nil, err
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return nil, err
		}
		if l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\uFEFF")) // spreadsheets begin files with it
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

// each gives what parse makes of each line.
func (l *lines) each(parse func(line []byte) (message, error)) source {
	return func(yield func(message, error) bool) {
		for {
			var m message
			line, err := l.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err == nil:
				m, err = parse(line)
			case !errors.Is(err, errLineTooLong):
				yield(m, fmt.Errorf("%s: %w", l.file, err))
				return
			}
			if err != nil {
				err = &lineError{l.file, l.number, err}
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// header reads the first line of a CSV file.
func (l *lines) header() (columns, error) {
	line, err := l.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; a CSV file begins with a header")
	}
	if err != nil {
		return nil, err
	}
	return parseHeader(line)
}

// interruptible makes reads end when the context ends. A read from a terminal or a pipe may wait
// for ever, and nothing can call it off: its goroutine is left behind, and ends with the read or
// with the program.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	return &interruptibleReader{ctx: ctx, in: in}
}

type interruptibleReader struct {
	ctx context.Context //nolint:containedctx // a Read takes none
	in  io.Reader
}

// Read reads once.
func (r *interruptibleReader) Read(p []byte) (int, error) {
	type answer struct {
		n   int
		err error
	}
	done := make(chan answer, 1)
	buffer := make([]byte, min(len(p), maxLine)) // p may be used again after an early return
	go func() {
		n, err := r.in.Read(buffer)
		done <- answer{n, err}
	}()
	select {
	case a := <-done:
		return copy(p, buffer[:a.n]), a.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}
