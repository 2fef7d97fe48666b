package lab

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// tokenHeader is what a script of the page adds to each request that does something. No other site
// can make a browser send it, and none can read it.
const tokenHeader = "X-Lab-Token"

// NewToken makes a token, with more than 128 bits of randomness.
func NewToken() string { return rand.Text() }

// policy lets the page load nothing that is not the server's own, and be in no frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// guard lets requests through that come from the page itself.
//
// The name in Host must be the loopback's: a site whose own name suddenly means 127.0.0.1 (DNS
// rebinding) would else be the same origin as the page. A request that changes something must not
// have been caused by another site, and must have the token in a header. Whoever opens the page
// shows the token once, in its address, and has it in a cookie from then on: other users of this
// machine reach the port, but have no token.
func (s *Server) guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch {
		case !loopbackName(r.Host):
			http.Error(w, "this page has no such name", http.StatusMisdirectedRequest)
		case sameOrigin.Check(r) != nil:
			http.Error(w, "another site has caused this request", http.StatusForbidden)
		case r.URL.Path == "/" && r.Method == http.MethodGet && s.valid(r.URL.Query().Get("token")):
			s.admit(w, r)
		case !s.admitted(r):
			http.Error(w, "open the address that payment-lab serve has printed, with its token",
				http.StatusForbidden)
		case r.Method != http.MethodGet && !s.valid(r.Header.Get(tokenHeader)):
			http.Error(w, "the token is missing", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// loopbackName says whether a Host header names this machine's own loopback. Its port is not
// looked at: it is another one when somebody comes through a tunnel.
func loopbackName(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

func (s *Server) valid(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

// admit puts the token from the address into a cookie, and takes it out of the address, which
// people copy and browsers keep.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: s.token, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	})
	to := "/"
	if language := r.URL.Query().Get("lang"); chooseLanguage(language, "") == language {
		to += "?lang=" + language
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Server) admitted(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName(r))
	return err == nil && s.valid(cookie.Value)
}

// cookieName has the port in it: cookies do not, and another lab on this machine has another token.
func cookieName(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return "payment-lab-" + port
	}
	return "payment-lab"
}
