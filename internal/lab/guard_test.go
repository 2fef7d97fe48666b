package lab

import (
	"net/http"
	"strings"
	"testing"
)

// Whoever does not have the token, comes under another name, or from another site, gets nothing.
func TestServer_Guard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	noCookie := header("Cookie", "")
	for name, test := range map[string]struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		"Page":               {"GET", "/", nil, http.StatusOK},
		"PageByName":         {"GET", "/", host("localhost:4999"), http.StatusOK},
		"PageBySix":          {"GET", "/", host("[::1]:4999"), http.StatusOK},
		"RebindingSite":      {"GET", "/", host("evil.example:4999"), http.StatusMisdirectedRequest},
		"RebindingLookalike": {"GET", "/", host("127.0.0.1.evil.example"), http.StatusMisdirectedRequest},
		"RebindingLocalhost": {"GET", "/", host("localhost.evil.example"), http.StatusMisdirectedRequest},
		"OtherAddress":       {"GET", "/", host("10.0.0.1:4999"), http.StatusMisdirectedRequest},
		"NoHost":             {"GET", "/", host(""), http.StatusMisdirectedRequest},
		"NoCookie":           {"GET", "/", noCookie, http.StatusForbidden},
		"NoCookieScript":     {"GET", "/assets/app.js", noCookie, http.StatusForbidden},
		"NoCookieEvents":     {"GET", "/events", noCookie, http.StatusForbidden},
		"NoCookieStory":      {"GET", "/story/PAY_1", noCookie, http.StatusForbidden},
		"WrongCookie":        {"GET", "/", header("Cookie", "payment-lab-4999=x"), http.StatusForbidden},
		"CookieOfOtherPort":  {"GET", "/", header("Cookie", "payment-lab-5000="+testToken), http.StatusForbidden},
		"WrongToken":         {"GET", "/?token=x", noCookie, http.StatusForbidden},
		"Act":                {"POST", "/do/send", nil, http.StatusAccepted},
		"ActWithoutToken":    {"POST", "/do/send", header(tokenHeader, ""), http.StatusForbidden},
		"ActWrongToken":      {"POST", "/do/send", header(tokenHeader, testToken+"x"), http.StatusForbidden},
		"ActWithoutCookie":   {"POST", "/do/send", noCookie, http.StatusForbidden},
		"ActCrossSite":       {"POST", "/do/send", header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		"ActSameSite":        {"POST", "/do/send", header("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		"ActOtherOrigin": {"POST", "/do/send", func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "http://evil.example")
		}, http.StatusForbidden},
		"ActByGet":   {"GET", "/do/send", nil, http.StatusMethodNotAllowed},
		"NoSuchPath": {"GET", "/etc/passwd", nil, http.StatusNotFound},
		"Catalogue":  {"GET", "/assets/i18n/en.json", nil, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := f.request(test.method, test.path, "", change)
			if w.Code != test.want {
				t.Errorf("status %d, want %d: %s", w.Code, test.want, w.Body)
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
				t.Errorf("Content-Security-Policy is %q", csp)
			}
			if test.want != http.StatusOK && strings.Contains(w.Body.String(), testToken) {
				t.Error("the answer holds the token")
			}
		})
	}
}

// The token in the address becomes a cookie that no script and no other site gets.
func TestServer_Admits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.request("GET", "/?token="+testToken+"&lang=zh", "", func(r *http.Request) {
		r.Header.Del("Cookie")
	})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/?lang=zh" {
		t.Errorf("status %d to %q", w.Code, w.Header().Get("Location"))
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Value != testToken || !cookies[0].HttpOnly ||
		cookies[0].SameSite != http.SameSiteStrictMode {
		t.Errorf("cookies %v", cookies)
	}
}

func TestNewServer_RefusesShortToken(t *testing.T) {
	t.Parallel()
	if _, err := NewServer(Config{Token: "short"}); err == nil {
		t.Error("no error")
	}
}
