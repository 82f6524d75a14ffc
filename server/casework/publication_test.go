package casework_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

func TestNamesArePublishedMasked(t *testing.T) {
	for name, want := range map[string]string{"湛明": "湛*", "湛小明": "湛*明", "欧阳小明": "欧**明", "": "某", " 湛明 ": "湛*", "湛": "湛*", "Anna": "A*", "买买提·吐尔逊": "买*****逊"} {
		if got := casework.MaskName(name); got != want {
			t.Errorf("%q is published as %q, want %q", name, got, want)
		}
	}
	if got := casework.PublishedName("湛小明", "11010520150101001"+"X", "2026-05-01"); strings.Contains(got, "湛") {
		t.Errorf("a minor is published as %q", got)
	}
	if got := casework.PublishedName("湛小明", "", "2026-05-01"); got != "湛*明" {
		t.Errorf("somebody without a number is published as %q", got)
	}
}

// A masked name never tells the whole name.
func TestMaskedNamesHide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := strings.TrimSpace(rapid.StringOfN(rapid.RuneFrom([]rune("湛罗江汨明小丽华欧阳·ab")), 1, 12, -1).Draw(t, "name"))
		if got := casework.MaskName(name); got == name || !utf8.ValidString(got) || !strings.Contains(got+"*", "*") {
			t.Fatalf("%q is published as %q", name, got)
		}
	})
}

func TestPublicInputs(t *testing.T) {
	for in, want := range map[string]string{" 一二三四五\x00\r\n六 ": "一二三四五\n六", "一二三四五": "一二三四五"} {
		if got, err := casework.PublicText("内容", in, 5, 10); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "短", strings.Repeat("长", 11), "\x01\x02"} {
		if _, err := casework.PublicText("内容", in, 5, 10); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%q: %v", in, err)
		}
	}
	for in, want := range map[string]string{"": "", "138 0013 8000": "13800138000", "0730-5222222": "07305222222"} {
		if got, err := casework.PublicPhone(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"123", "1380013800a", "138001380001234"} {
		if _, err := casework.PublicPhone(in); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%q: %v", in, err)
		}
	}
}
