package rocketmq

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// errIllegal marks a refusal that no repetition changes: the broker finds the message too large
// or malformed.
var errIllegal = errors.New("message illegal")

// brokerCode finds the broker's answer in the client's error, which keeps it as text only.
var brokerCode = regexp.MustCompile(`^CODE: (-?\d+), DESC: `)

// classify turns what the client says of one attempt into nil for stored, ErrRefused or
// idem.ErrUnavailable for surely not stored, and ErrUnknown for everything else: what is not
// known here is never called harmless.
func classify(result *primitive.SendResult, err error) error {
	if err == nil {
		if result != nil && result.Status == primitive.SendOK && result.MessageQueue != nil {
			return nil
		}
		return fmt.Errorf("%w: %s", ErrUnknown, statusText(result))
	}
	var dial *net.OpError
	switch text := err.Error(); {
	case errors.As(err, &dial) && dial.Op == "dial",
		errors.Is(err, clienterrors.ErrNotRunning), errors.Is(err, clienterrors.ErrService),
		strings.HasSuffix(text, "route info not found"):
		return unavailable("%s", bounded(text))
	case brokerCode.MatchString(text):
		return classifyCode(text)
	default:
		return fmt.Errorf("%w: %s", ErrUnknown, bounded(text))
	}
}

// classifyCode knows the answers that a broker gives before it stores anything.
func classifyCode(text string) error {
	code, err := strconv.Atoi(brokerCode.FindStringSubmatch(text)[1])
	if err != nil {
		return fmt.Errorf("%w: %s", ErrUnknown, bounded(text))
	}
	switch code {
	case respIllegal:
		return fmt.Errorf("%w: %w: %s", ErrRefused, errIllegal, bounded(text))
	case respBusy, respNotAvailable, respNoPermission, respTopicNotExist:
		return fmt.Errorf("%w: %s", ErrRefused, bounded(text))
	default:
		return fmt.Errorf("%w: %s", ErrUnknown, bounded(text))
	}
}

func statusText(result *primitive.SendResult) string {
	if result == nil {
		return "no result"
	}
	switch result.Status {
	case primitive.SendOK:
		return "stored, without a place"
	case primitive.SendFlushDiskTimeout:
		return "the broker has it in memory but not on disk in time"
	case primitive.SendFlushSlaveTimeout, primitive.SendSlaveNotAvailable:
		return "the broker has it but no copy of it"
	case primitive.SendUnknownError:
		return "no status"
	default:
		return "status " + strconv.Itoa(int(result.Status))
	}
}
