package main

import "testing"

func TestVisit_Outside(t *testing.T) {
	t.Parallel()
	v := &visit{base: "http://127.0.0.1:4999"}
	for address, want := range map[string]bool{
		"http://127.0.0.1:4999/events": false, "data:,": false,
		"http://127.0.0.1:49990/": true, "https://fonts.example/a": true, "http://127.0.0.1:5000/": true,
	} {
		if got := v.outside(address); got != want {
			t.Errorf("outside(%q) = %t", address, got)
		}
	}
}
