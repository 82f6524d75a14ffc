package casework

import (
	"strings"
	"time"
)

// Citizens' identity numbers follow GB 11643: 6 digits of an address code, which says nothing about where somebody
// lives now, 8 of the birth date, 3 of a sequence whose last one is odd for men, and a check digit.

const checkWeights = "\x07\x09\x0a\x05\x08\x04\x02\x01\x06\x03\x07\x09\x0a\x05\x08\x04\x02"

// CheckDigit computes the 18th character from the first 17 digits: the weighted sum modulo 11 picks from 10X98765432.
func CheckDigit(first17 string) (byte, error) {
	if len(first17) != 17 || !isDigits(first17) {
		return 0, NewError(CodeInvalidValue, "身份证号前17位应为数字。")
	}
	sum := 0
	for i := range 17 {
		sum += int(first17[i]-'0') * int(checkWeights[i])
	}
	return "10X98765432"[sum%11], nil
}

// NormalizeIDNumber turns what people type into the number's one form: white space goes, full-width digits become
// ASCII, a small x becomes X. Errors say what to look at.
func NormalizeIDNumber(s string) (string, error) {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '\t' || r == '\u3000' || r == '\u00a0':
			return -1
		case r >= '０' && r <= '９':
			return '0' + r - '０'
		case r == 'x' || r == 'ｘ' || r == 'Ｘ':
			return 'X'
		}
		return r
	}, s)
	if len(s) != 18 {
		return "", NewError(CodeInvalidValue, "身份证号应为18位,请核对。")
	}
	check, err := CheckDigit(s[:17])
	if err != nil {
		return "", err
	}
	if s[17] != check {
		return "", NewError(CodeInvalidValue, "身份证号校验码不对,请对照证件逐位核对。")
	}
	if birth, err := time.Parse("20060102", s[6:14]); err != nil || birth.Year() < 1880 || birth.Year() > 2100 {
		return "", NewError(CodeInvalidValue, "身份证号中的出生日期不存在,请核对。")
	}
	return s, nil
}

// BirthDate reads the birth date, "2006-01-02", out of a normalised number; "" where it is none.
func BirthDate(id string) string {
	if len(id) != 18 {
		return ""
	}
	t, err := time.Parse("20060102", id[6:14])
	if err != nil {
		return ""
	}
	return t.Format(time.DateOnly)
}

// Sex reads male or female out of a normalised number; "" where it is none.
func Sex(id string) string {
	switch {
	case len(id) != 18 || !isDigits(id[16:17]):
		return ""
	case (id[16]-'0')%2 == 1:
		return "male"
	}
	return "female"
}

// MaskIDNumber shows the address code and the last four characters only.
func MaskIDNumber(id string) string {
	if len(id) != 18 {
		return strings.Repeat("*", len([]rune(id)))
	}
	return id[:6] + "********" + id[14:]
}
