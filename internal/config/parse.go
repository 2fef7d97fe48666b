package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// whole accepts a whole number within bounds.
func whole[T int | int64](low, high T) parser[T] {
	return parser[T]{
		accepts: fmt.Sprintf("a whole number from %d to %d", low, high),
		parse: func(raw string) (T, bool) {
			n, err := strconv.ParseInt(raw, 10, 64)
			return T(n), err == nil && n >= int64(low) && n <= int64(high)
		},
	}
}

func seconds(low, high int64) parser[time.Duration] {
	return span(low, high, time.Second, "seconds")
}

func millis(low, high int64) parser[time.Duration] {
	return span(low, high, time.Millisecond, "milliseconds")
}

// span accepts a whole number of a unit; the unit itself is in the key.
func span(low, high int64, unit time.Duration, name string) parser[time.Duration] {
	number := whole(low, high)
	return parser[time.Duration]{
		accepts: fmt.Sprintf("a whole number of %s from %d to %d, without a unit", name, low, high),
		parse: func(raw string) (time.Duration, bool) {
			n, ok := number.parse(raw)
			return time.Duration(n) * unit, ok
		},
	}
}

func yesNo() parser[bool] {
	return parser[bool]{
		accepts: "true or false",
		parse:   func(raw string) (bool, bool) { return raw == "true", raw == "true" || raw == "false" },
	}
}

func choice(of ...string) parser[string] {
	return parser[string]{
		accepts: "one of " + strings.Join(of, ", "),
		parse:   func(raw string) (string, bool) { return raw, slices.Contains(of, raw) },
	}
}

// chars accepts ASCII letters, digits and some more characters, in a bounded number. It is for
// names that end in SQL, in patterns or in the protocol of the broker.
func chars(low, high int, more string) parser[string] {
	accepts := fmt.Sprintf("%d to %d characters out of letters, digits and %s", low, high,
		strings.Join(strings.Split(more, ""), " "))
	return parser[string]{accepts: accepts, parse: func(raw string) (string, bool) {
		strange := strings.ContainsFunc(raw, func(r rune) bool {
			return !isAlphanumeric(r) && !strings.ContainsRune(more, r)
		})
		return raw, !strange && len(raw) >= low && len(raw) <= high
	}}
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// hostPort accepts an address to connect to, or, from port 0, one to listen on.
func hostPort(lowPort int, example string) parser[string] {
	accepts := "host:port, such as " + example
	if lowPort == 0 {
		accepts += "; port 0 takes a free one"
	}
	return parser[string]{accepts: accepts, parse: func(raw string) (string, bool) {
		host, port, err := net.SplitHostPort(raw)
		n, notNumber := strconv.Atoi(port)
		return raw, err == nil && notNumber == nil && n >= lowPort && n <= 65535 && isHost(host)
	}}
}

// webAddress accepts the address of a server that speaks HTTP, or nothing.
func webAddress() parser[string] {
	return parser[string]{
		accepts: "an address such as http://127.0.0.1:4318, or nothing",
		parse: func(raw string) (string, bool) {
			u, err := url.Parse(raw)
			return raw, raw == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") &&
				isHost(u.Host) && u.User == nil && u.RawQuery == "" && u.Fragment == ""
		},
	}
}

// path accepts the path of a file, or nothing.
func path() parser[string] {
	return parser[string]{
		accepts: "the path of a file, or nothing",
		parse:   func(raw string) (string, bool) { return raw, !strings.ContainsAny(raw, "\r\n\x00") },
	}
}

// isHost keeps out what is plainly no host: nothing, a URL, spaces. Whether it exists is found
// out by connecting.
func isHost(host string) bool {
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune(".-_:%", r)
	})
}

func hostPorts() parser[[]string] {
	one := hostPort(1, "")
	return parser[[]string]{
		accepts: "host:port, or several with commas between them, such as ns1:9876,ns2:9876",
		parse: func(raw string) ([]string, bool) {
			list := strings.Split(raw, ",")
			for i, item := range list {
				list[i] = strings.TrimSpace(item)
				if _, ok := one.parse(list[i]); !ok {
					return nil, false
				}
			}
			return list, true
		},
	}
}

// anySecret accepts every secret, also none.
func anySecret() parser[Secret] {
	return parser[Secret]{
		accepts: "a secret on one line",
		parse: func(raw string) (Secret, bool) {
			return NewSecret(raw), !strings.ContainsAny(raw, "\r\n\x00")
		},
	}
}

// keyring accepts the shape of the cache's keys; the cache parses them.
func keyring() parser[Secret] {
	name := chars(1, 16, "_-")
	return parser[Secret]{
		accepts: "NAME:HEX, or two with a comma between them, with 64 hex digits each; " +
			"make one with: echo k1:$(openssl rand -hex 32)",
		parse: func(raw string) (Secret, bool) {
			items := strings.Split(raw, ",")
			for _, item := range items {
				id, digits, found := strings.Cut(strings.TrimSpace(item), ":")
				if _, ok := name.parse(id); !ok || !found || len(digits) != 64 || !isHex(digits) {
					return Secret{}, false
				}
			}
			return NewSecret(raw), len(items) <= 2
		},
	}
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
