package mysql

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"

	"example.com/payment/internal/tracing"
)

const (
	// spanKey is where a statement keeps its span while it runs.
	spanKey = "payment:span"
	// maxStatement is how much of a statement a span holds, in bytes: the many question marks of
	// a batch say nothing.
	maxStatement = 300
)

// trace makes a span of each statement whose context has one: without values, which gorm keeps
// apart from the text until the driver sends both.
func (db *DB) trace() error {
	calls := db.gorm.Callback()
	return errors.Join(
		calls.Raw().Before("*").Register("payment:begin", begin),
		calls.Raw().After("*").Register("payment:end", end),
		calls.Row().Before("*").Register("payment:begin", begin),
		calls.Row().After("*").Register("payment:end", end),
		calls.Query().Before("*").Register("payment:begin", begin),
		calls.Query().After("*").Register("payment:end", end),
	)
}

// endAttributes describe a COMMIT or a ROLLBACK, which are no statements of gorm's.
func endAttributes() tracing.Attributes { return tracing.Attributes{"db.system.name": "mysql"} }

func begin(tx *gorm.DB) {
	ctx, span := statementSpan(tx.Statement.Context, tx.Statement.SQL.String(), tx.Statement.Table)
	if span != nil {
		tx.Statement.Context = ctx
		tx.InstanceSet(spanKey, span)
	}
}

func end(tx *gorm.DB) {
	kept, ok := tx.InstanceGet(spanKey)
	if !ok {
		return
	}
	if span, ok := kept.(*tracing.Span); ok {
		endStatement(span, tx.RowsAffected, tx.Error)
	}
}

// statementSpan begins the span of a statement, if its context is sampled.
func statementSpan(
	ctx context.Context, text, table string,
) (context.Context, *tracing.Span) {
	if !tracing.Sampled(ctx) {
		return ctx, nil // before a name is made for nothing
	}
	name := summary(text, table)
	return tracing.Child(ctx, name, tracing.Client, func() tracing.Attributes {
		operation, table, _ := strings.Cut(name, " ")
		return tracing.Attributes{
			"db.system.name": "mysql", "db.operation.name": operation,
			"db.collection.name": table, "db.query.summary": name,
			"db.query.text": text[:min(len(text), maxStatement)],
		}
	})
}

func endStatement(span *tracing.Span, rows int64, err error) {
	if rows > 0 {
		span.Set(tracing.Attributes{"db.response.returned_rows": rows})
	}
	span.End(errorType(err))
}

// summary is a statement in two words: what it does, and to which table. A query that gorm builds
// has no text yet.
func summary(text, table string) string {
	words := strings.Fields(text[:min(len(text), maxStatement)])
	if len(words) == 0 {
		return strings.TrimSpace("SELECT " + table)
	}
	operation := strings.ToUpper(words[0])
	for i, word := range words[:len(words)-1] {
		switch strings.ToUpper(word) {
		case "FROM", "INTO", "UPDATE":
			return operation + " " + strings.Trim(words[i+1], "(`")
		}
	}
	return operation
}

// errorType is the server's number for an error, or what its class is called.
func errorType(err error) string {
	var reply *mysql.MySQLError
	switch {
	case err == nil || errors.Is(err, gorm.ErrRecordNotFound):
		return ""
	case errors.As(err, &reply):
		return strconv.Itoa(int(reply.Number))
	case classify(err) == classUnavailable:
		return "unavailable"
	default:
		return "other"
	}
}
