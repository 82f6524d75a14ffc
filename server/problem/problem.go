// Package problem is the one place where errors become HTTP answers: application/problem+json (RFC 9457) with a code
// for programs and a title, in Chinese, for the person in front of the screen.
package problem

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// ContentType is that of every problem.
const ContentType = "application/problem+json; charset=utf-8"

// Problem is an answer that says what went wrong.
type Problem struct {
	Type   string `json:"type" doc:"urn:aidloop:problem: and the code."`
	Title  string `json:"title" doc:"What happened and what to do, in Chinese."`
	Status int    `json:"status"`
	Code   string `json:"code" doc:"For programs; the list is closed and codes are never reused."`
	Detail string `json:"detail,omitempty" doc:"For developers, in English."`
	// Have and Head tell a device after a gap or a fork where the server stands.
	Have      *uint64 `json:"have,omitempty"`
	Head      string  `json:"head,omitempty"`
	RequestID string  `json:"request_id,omitempty" doc:"The same as in the server's log."`

	retryAfter int
	cause      error
}

// From says an error to the outside. What no rule and no part of the protocol says is the server's own trouble: a 500
// that tells nothing of its inside. Err must not be nil.
func From(err error) *Problem {
	var (
		known   *Problem
		refusal *syncproto.Error
		rule    *casework.Error
	)
	switch {
	case errors.As(err, &known):
		p := *known
		return &p
	case errors.As(err, &refusal):
		p := of(string(refusal.Code), refusal.Code.Words(), refusal.Detail, err)
		if refusal.Head != (syncproto.Hash{}) {
			have := refusal.Have
			p.Have, p.Head = &have, refusal.Head.String()
		}
		return p
	case errors.As(err, &rule):
		return of(rule.Code, rule.Message, "", err)
	case errors.Is(err, loop.ErrNotFound):
		return of(codeNotFound, "", "", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return of(string(syncproto.CodeUnavailable), "", "", err)
	}
	return of(codeInternal, "", "", err)
}

// OfStatus is the problem of a plain HTTP status, such as the router's 404 or 405.
func OfStatus(status int, detail string) *Problem {
	for _, row := range plain {
		if row.status == status {
			return of(row.code, "", detail, nil)
		}
	}
	p := of(codeInternal, "", detail, nil)
	if status >= 400 && status < 500 {
		p = of(string(syncproto.CodeMalformed), "", detail, nil)
		p.Status = status
	}
	return p
}

// New has the signature of huma.NewError. An error that a rule or the protocol made decides for itself; the rest are
// huma's own findings about a request, told by place and reason but without the value.
func New(status int, msg string, errs ...error) huma.StatusError {
	var found []string
	for _, err := range errs {
		var d huma.ErrorDetailer
		switch {
		case err == nil:
		case errors.As(err, &d):
			found = append(found, strings.TrimSpace(d.ErrorDetail().Location+" "+d.ErrorDetail().Message))
		default:
			if p := From(err); p.Code != codeInternal {
				return p
			}
		}
	}
	if status >= http.StatusInternalServerError {
		p := OfStatus(status, "")
		p.cause = errors.Join(errs...)
		return p
	}
	return OfStatus(status, strings.Join(append([]string{msg}, found...), "; "))
}

func of(code, title, detail string, cause error) *Problem {
	row := lookup(code)
	if title == "" {
		title = row.title
	}
	return &Problem{Type: "urn:aidloop:problem:" + code, Title: title, Status: row.status, Code: code, Detail: detail,
		retryAfter: row.retryAfter, cause: cause}
}

// Error writes the code and what is behind it, for logs.
func (p *Problem) Error() string {
	switch {
	case p.cause != nil:
		return p.Code + ": " + p.cause.Error()
	case p.Detail != "":
		return p.Code + ": " + p.Detail
	}
	return p.Code
}

// Unwrap returns the error that the problem was made from.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus is the HTTP status; huma asks for it.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is asked for by huma.
func (p *Problem) ContentType(string) string { return ContentType }

// GetHeaders are the headers that go with the answer.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}
