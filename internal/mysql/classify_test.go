package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"example.com/payment/internal/idem"
)

func TestClassify_Codes(t *testing.T) {
	t.Parallel()
	for want, codes := range map[class][]uint16{
		classDuplicate:  {1062, 1586},
		classContention: {1213, 1205, 1020},
		classContent: {1264, 1366, 1406, 1690, 3819, 4025, 1048, 1265, 1292, 1267, 1270, 1271, 3854,
			1300},
		classUnavailable: {1040, 1203, 1226, 1044, 1045, 1142, 1143, 1698, 1049, 1146, 1054, 1053,
			1077, 1079, 1927, 1021, 1114, 1290, 1792, 1836, 1129, 1130, 2002, 2003, 2006, 2013,
			4031, 1047, 1135, 1152, 1158, 1159, 1160, 1161, 1820, 1862, 3118, 4151, 1036, 1874,
			3032},
		// Interrupted, a syntax error, not one that exists: never a reason to refuse a payment.
		classUnknown: {0, 1, 1064, 1180, 1317, 1969, 3024, 9999, 65535},
	} {
		for _, code := range codes {
			err := fmt.Errorf("insert: %w", &mysql.MySQLError{Number: code, Message: "4711"})
			if got := classify(err); got != want {
				t.Errorf("code %d: class %d, want %d", code, got, want)
			}
			checkExplained(t, code, want, explain("pay", err))
		}
	}
}

// checkExplained wants the class's sentinel, no other one, and nothing of the server's text.
func checkExplained(t *testing.T, code uint16, c class, err error) {
	t.Helper()
	for sentinel, of := range map[error]class{
		idem.ErrRaced: classDuplicate, idem.ErrContent: classContent,
		idem.ErrUnavailable: classUnavailable,
	} {
		if got := errors.Is(err, sentinel); got != (c == of) {
			t.Errorf("code %d: %v: is %q: %t", code, err, sentinel, got)
		}
	}
	if strings.Contains(err.Error(), "4711") || strings.Contains(err.Error(), "\n") {
		t.Errorf("code %d: %q repeats what the server quoted", code, err)
	}
}

func TestClassify_OtherErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want class
	}{
		"Nil":         {nil, classUnknown},
		"Own":         {errors.New("own"), classUnknown},
		"Raced":       {idem.ErrRaced, classUnknown},
		"BadConn":     {driver.ErrBadConn, classUnavailable},
		"InvalidConn": {mysql.ErrInvalidConn, classUnavailable},
		"EOF":         {io.EOF, classUnavailable},
		"Unexpected":  {io.ErrUnexpectedEOF, classUnavailable},
		"Deadline":    {context.DeadlineExceeded, classUnavailable},
		"Refused":     {&net.OpError{Op: "dial", Err: errors.New("refused")}, classUnavailable},
		"NoSuchHost":  {&net.DNSError{Err: "no such host"}, classUnavailable},
		"Canceled":    {context.Canceled, classUnknown},
		"TxDone":      {sql.ErrTxDone, classUnknown},
		"ConnDone":    {sql.ErrConnDone, classUnknown},
		"NoRows":      {sql.ErrNoRows, classUnknown},
		"NoTLS":       {mysql.ErrNoTLS, classUnavailable},
		"NoPlugin":    {mysql.ErrUnknownPlugin, classUnavailable},
		"TooLarge":    {mysql.ErrPktTooLarge, classUnknown},
	} {
		if got := classify(c.err); got != c.want {
			t.Errorf("%s: class %d, want %d", name, got, c.want)
		}
		if c.err != nil && classify(fmt.Errorf("wrapped: %w", c.err)) != c.want {
			t.Errorf("%s: another class when wrapped", name)
		}
	}
}

// A wait for the server to come back helps against an outage, and not against a wrong password.
func TestExplain_Refused(t *testing.T) {
	t.Parallel()
	for code, want := range map[uint16]bool{
		1045: true, 1698: true, 1044: true, 1142: true, 1143: true, 1049: true, 1146: true,
		1054: true, 1820: true, 1862: true, 3118: true, 4151: true, 1040: false, 1290: false, 1053: false,
	} {
		err := explain("connect", &mysql.MySQLError{Number: code})
		if got := errors.Is(err, ErrRefused); got != want {
			t.Errorf("code %d: %v: refused: %t, want %t", code, err, got, want)
		}
	}
	if err := explain("connect", mysql.ErrNoTLS); !errors.Is(err, ErrRefused) {
		t.Errorf("%v: want it refused", err)
	}
}
