package casework

import (
	"strings"
	"unicode/utf8"
)

// PublicationMachine takes what is on the public page and the village board (阳光公示) from its posting to its end. It leaves
// the page by itself when its time is over; an objection that was registered stops it at once.
var PublicationMachine = &Machine{"publication", "公示", []Transition{
	{"", "post", []Role{RoleTownReviewer, RoleBureauOfficer, RoleDeptOfficer}, "", "posted"},
	{"posted", "expire", system, "", "expired"},
	{"posted", "object", objecting, "", "objected"},
	{"posted", "withdraw", []Role{RoleTownReviewer, RoleBureauOfficer, RoleSystem}, "", "archived"},
	{"expired", "archive", system, "", "archived"},
	{"objected", "archive", system, "", "archived"},
}}

// ObjectionMachine takes an objection that somebody handed in on the public page to the town's answer: it is registered
// with the application that it is about, or dismissed with a reason.
var ObjectionMachine = &Machine{"objection", "公示异议", []Transition{
	{"", "receive", system, "", "received"},
	{"received", "register", objecting, "reasoned", "registered"},
	{"received", "dismiss", reviewer, "reasoned", "dismissed"},
}}

// MaskName writes a name as the public may read it: the family name, and one star for each character behind it but the last
// of three or more. A name in other letters keeps its first letter only.
func MaskName(name string) string {
	name = strings.TrimSpace(name)
	first, size := utf8.DecodeRuneInString(name)
	n := utf8.RuneCountInString(name)
	switch {
	case n == 0:
		return "某"
	case n < 3 || first < 0x2E80: // no Chinese character
		return name[:size] + "*"
	}
	_, last := utf8.DecodeLastRuneInString(name)
	return name[:size] + strings.Repeat("*", n-2) + name[len(name)-last:]
}

// PublishedName is the name under which an applicant is published: masked, and none of a minor. The identity number tells
// the age; who has none that can be read is masked like an adult.
func PublishedName(name, idNumber, on string) string {
	m := Member{Birth: BirthDate(idNumber)}
	if age, known := m.age(on); known && age < adultAge {
		return "未成年人(姓名不公开)"
	}
	return MaskName(name)
}

// Limits of what the public may send.
const (
	MaxPublicText = 1000 // characters of an objection or a report
	MaxPublicName = 30
)

// PublicText is a text that somebody typed into a public form, trimmed, or an error that says what to do. Control characters
// but line ends are taken out.
func PublicText(label, text string, least, most int) (string, error) {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, text))
	switch n := utf8.RuneCountInString(text); {
	case n < least && n == 0:
		return "", NewError(CodeInvalidValue, "请填写"+label+"。")
	case n < least:
		return "", NewError(CodeInvalidValue, label+"太短,请写得具体一些。")
	case n > most:
		return "", NewError(CodeInvalidValue, label+"太长,请缩短后再提交。")
	}
	return text, nil
}

// PublicPhone is a phone number that somebody typed into a public form, "" for none: 11 digits of a mobile, or a landline with
// or without its area code.
func PublicPhone(s string) (string, error) {
	s = strings.NewReplacer(" ", "", "-", "", "—", "").Replace(strings.TrimSpace(s))
	if s == "" || isDigits(s) && (len(s) == 11 || len(s) == 12 || len(s) == 7 || len(s) == 8) {
		return s, nil
	}
	return "", NewError(CodeInvalidValue, "联系电话应为11位手机号,或带区号的固定电话。")
}
