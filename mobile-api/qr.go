package mobileapi

import (
	"fmt"
	"net/url"
	"strings"

	"rsc.io/qr"
)

// EnrolURI is what a phone opens to enrol: aidloop://enrol?server=<url>&code=<code>.
func EnrolURI(server, code string) string {
	return "aidloop://enrol?server=" + url.QueryEscape(server) + "&code=" + url.QueryEscape(code)
}

// EnrolQR draws a QR code of a URI: as a PNG, and in half blocks for a terminal. Both have the quiet zone of four
// modules that scanners need.
func EnrolQR(uri string) (png []byte, ansi string, err error) {
	code, err := qr.Encode(uri, qr.M)
	if err != nil {
		return nil, "", fmt.Errorf("QR code: %w", err)
	}
	return code.PNG(), halfBlocks(code.Size, code.Black), nil
}

const quiet = 4

// halfBlocks writes two rows of modules in a line. It sets both colours, so that it reads alike on dark terminals and
// on light ones.
func halfBlocks(size int, black func(x, y int) bool) string {
	var b strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		b.WriteString("\x1b[97;40m") // white on black: blocks are the light modules
		for x := -quiet; x < size+quiet; x++ {
			switch upper, lower := !black(x, y), !black(x, y+1); {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}
