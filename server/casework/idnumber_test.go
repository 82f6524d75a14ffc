package casework_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

func number(t *rapid.T) string {
	first := fmt.Sprintf("430681%04d%02d%02d%03d", rapid.IntRange(1900, 2025).Draw(t, "y"), rapid.IntRange(1, 12).Draw(t, "m"), rapid.IntRange(1, 28).Draw(t, "d"), rapid.IntRange(0, 999).Draw(t, "seq"))
	c, err := casework.CheckDigit(first)
	if err != nil {
		t.Fatal(err)
	}
	return first + string(c)
}

func TestIDNumberAcceptsWhatPeopleType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := number(t)
		wide := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r - '0' + '０'
			}
			return r
		}, n)
		for _, typed := range []string{n, strings.ToLower(n), " " + n[:6] + " " + n[6:14] + " " + n[14:] + "　", wide} {
			if got, err := casework.NormalizeIDNumber(typed); err != nil || got != n {
				t.Fatalf("%q: %q, %v", typed, got, err)
			}
		}
		if b := casework.BirthDate(n); strings.ReplaceAll(b, "-", "") != n[6:14] {
			t.Fatal(b)
		}
	})
}

// One wrong digit, and two neighbours swapped, are found.
func TestIDNumberFindsSlips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := []byte(number(t))
		i := rapid.IntRange(0, 16).Draw(t, "at")
		swapped := []byte(string(n))
		n[i] = '0' + (n[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		if _, err := casework.NormalizeIDNumber(string(n)); err == nil {
			t.Fatalf("%s is taken", n)
		}
		if i < 16 && swapped[i] != swapped[i+1] {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			if _, err := casework.NormalizeIDNumber(string(swapped)); err == nil {
				t.Fatalf("%s is taken", swapped)
			}
		}
	})
}

func FuzzNormalizeIDNumber(f *testing.F) {
	f.Add("430681190001019003")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := casework.NormalizeIDNumber(s)
		if err != nil {
			return
		}
		if again, err := casework.NormalizeIDNumber(n); err != nil || again != n {
			t.Errorf("%q: %q", n, again)
		}
	})
}
