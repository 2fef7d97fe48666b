package stage

import (
	"fmt"
	"strconv"
	"time"

	"example.com/payment/internal/lab"
)

// line is a sentence of the catalogue; pairs are the names of its gaps and what stands in them.
func line(key string, pairs ...any) lab.Line {
	args := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
	}
	return lab.Line{Key: key, Args: args}
}

// seconds is a duration as people say it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }
