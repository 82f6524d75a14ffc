package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/server/problem"
	"aidloop/syncproto"
)

func TestCodesBecomeStatuses(t *testing.T) {
	want := map[int][]syncproto.Code{
		http.StatusBadRequest:            {syncproto.CodeMalformed, syncproto.CodeTruncated, syncproto.CodeBadGroup, syncproto.CodeBadChain},
		http.StatusUnauthorized:          {syncproto.CodeTokenInvalid, syncproto.CodeBadSignature},
		http.StatusForbidden:             {syncproto.CodeForeignToken, syncproto.CodeRevoked, syncproto.CodeSuspended},
		http.StatusNotFound:              {syncproto.CodeUnknownDevice, syncproto.CodeChunkGone},
		http.StatusConflict:              {syncproto.CodeDseqGap, syncproto.CodeDseqReused, syncproto.CodeFork},
		http.StatusRequestEntityTooLarge: {syncproto.CodeTooLarge},
		http.StatusUnsupportedMediaType:  {syncproto.CodeUnsupportedType},
		http.StatusUnprocessableEntity:   {syncproto.CodeEnrolCode},
		http.StatusUpgradeRequired:       {syncproto.CodeVersion},
		http.StatusTooManyRequests:       {syncproto.CodeTooMany, syncproto.CodeQuota},
		http.StatusServiceUnavailable:    {syncproto.CodeUnavailable},
	}
	for status, codes := range want {
		for _, code := range codes {
			p := problem.From(fmt.Errorf("push: %w", syncproto.Refuse(code, "why")))
			if p.Status != status || p.Code != string(code) || p.Title != code.Words() || p.Detail != "why" || p.Have != nil {
				t.Errorf("%s: %+v", code, p)
			}
		}
	}
	for _, code := range syncproto.Codes() {
		if p := problem.From(syncproto.Refuse(code, "")); p.Status < 400 || p.Status == http.StatusInternalServerError || p.Title == "" {
			t.Errorf("%s: %+v", code, p)
		}
	}
}

func TestRulesSpeakForThemselves(t *testing.T) {
	for code, status := range map[string]int{
		casework.CodeNotFound: 404, casework.CodeForbidden: 403, casework.CodeForbiddenActor: 403, casework.CodeInvalidTransition: 409,
		casework.CodeGuardFailed: 422, casework.CodeInvalidValue: 422, "login_failed": 401, "locked": 429, "a_rule_of_tomorrow": 422,
	} {
		p := problem.From(fmt.Errorf("verb: %w", casework.NewError(code, "请说明")))
		if p.Status != status || p.Code != code || p.Title != "请说明" || p.Detail != "" {
			t.Errorf("%s: %+v", code, p)
		}
	}
}

func TestTheServersOwnTroubleTellsNothing(t *testing.T) {
	cause := errors.New("table households: 张三")
	p := problem.From(fmt.Errorf("store: %w", cause))
	b, err := json.Marshal(p)
	if err != nil || p.Status != 500 || p.Code != "internal" || strings.Contains(string(b), "张三") || strings.Contains(string(b), "table") {
		t.Errorf("%s %v", b, err)
	}
	if !errors.Is(p, cause) || !strings.Contains(p.Error(), "张三") {
		t.Error("the cause is lost to the log")
	}
}

func TestOtherErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("blob: %w", loop.ErrNotFound), 404, "not_found"},
		{context.DeadlineExceeded, 503, "unavailable"},
		{context.Canceled, 503, "unavailable"},
		{loop.ErrSession, 401, "token_invalid"},
		{problem.OfStatus(405, ""), 405, "method_not_allowed"},
	} {
		if p := problem.From(c.err); p.Status != c.status || p.Code != c.code || p.Title == "" {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
	for _, status := range []int{400, 401, 403, 404, 405, 408, 409, 413, 415, 418, 422, 429, 431, 500, 502, 503} {
		if p := problem.OfStatus(status, ""); p.Title == "" || p.Code == "" || p.Status/100 != status/100 {
			t.Errorf("%d: %+v", status, p)
		}
	}
}

func TestAGapSaysWhereTheServerStands(t *testing.T) {
	p := problem.From(&syncproto.Error{Code: syncproto.CodeDseqGap, Have: 0, Head: syncproto.ChainStart("d")})
	b, err := json.Marshal(p)
	if err != nil || !strings.Contains(string(b), `"have":0,"head":"`+syncproto.ChainStart("d").String()) {
		t.Errorf("%s %v", b, err)
	}
}

func TestHeaders(t *testing.T) {
	if h := problem.From(syncproto.Refuse(syncproto.CodeUnavailable, "")).GetHeaders(); h.Get("Retry-After") != "5" {
		t.Error(h)
	}
	if h := problem.From(loop.ErrSession).GetHeaders(); h.Get("WWW-Authenticate") != "Bearer" {
		t.Error(h)
	}
	if h := problem.From(loop.ErrNotFound).GetHeaders(); len(h) > 0 {
		t.Error(h)
	}
}

func TestNewSaysHumasFindingsWithoutTheValue(t *testing.T) {
	p, ok := problem.New(422, "validation failed", &huma.ErrorDetail{Message: "expected a number", Location: "body.income", Value: "保密"}, nil).(*problem.Problem)
	if !ok || p.Status != 422 || p.Code != "invalid_value" || p.Detail != "validation failed; body.income expected a number" {
		t.Errorf("%+v", p)
	}
	if got := problem.New(500, "unexpected error occurred", loop.ErrSession); got.GetStatus() != 401 {
		t.Errorf("%+v", got)
	}
	if got := problem.New(500, "unexpected error occurred", errors.New("secret")).(*problem.Problem); got.Status != 500 || got.Detail != "" {
		t.Errorf("%+v", got)
	}
}
