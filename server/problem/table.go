package problem

import (
	"net/http"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Codes that neither the protocol nor the domain has.
const (
	codeInternal      = "internal"
	codeNotFound      = casework.CodeNotFound
	codeMethod        = "method_not_allowed"
	codeHeaderTooLong = "header_too_large"
)

// row says a code as an HTTP status. The title stands in where the error brings no words; retryAfter is in seconds.
type row struct {
	code       string
	status     int
	retryAfter int
	title      string
}

// table is every code that can leave the server.
var table = []row{
	{string(syncproto.CodeMalformed), http.StatusBadRequest, 0, ""},
	{string(syncproto.CodeTruncated), http.StatusBadRequest, 0, ""},
	{string(syncproto.CodeBadGroup), http.StatusBadRequest, 0, ""},
	{string(syncproto.CodeBadChain), http.StatusBadRequest, 0, ""},

	{string(syncproto.CodeTokenInvalid), http.StatusUnauthorized, 0, ""},
	{string(syncproto.CodeBadSignature), http.StatusUnauthorized, 0, ""},
	{"login_failed", http.StatusUnauthorized, 0, ""},

	{string(syncproto.CodeForeignToken), http.StatusForbidden, 0, ""},
	{string(syncproto.CodeRevoked), http.StatusForbidden, 0, ""},
	{string(syncproto.CodeSuspended), http.StatusForbidden, 0, ""},
	{string(syncproto.CodeNotAllowed), http.StatusForbidden, 0, ""},
	{casework.CodeForbidden, http.StatusForbidden, 0, ""},
	{casework.CodeForbiddenActor, http.StatusForbidden, 0, ""},

	{string(syncproto.CodeUnknownDevice), http.StatusNotFound, 0, ""},
	{string(syncproto.CodeChunkGone), http.StatusNotFound, 0, ""},
	{codeNotFound, http.StatusNotFound, 0, "没有找到,可能已被删除,或不在您的负责范围。"},
	{codeMethod, http.StatusMethodNotAllowed, 0, "不支持的操作,请更新应用。"},

	{string(syncproto.CodeDseqGap), http.StatusConflict, 0, ""},
	{string(syncproto.CodeDseqReused), http.StatusConflict, 0, ""},
	{string(syncproto.CodeFork), http.StatusConflict, 0, ""},
	{casework.CodeInvalidTransition, http.StatusConflict, 0, ""},
	{"login_taken", http.StatusConflict, 0, ""},

	{string(syncproto.CodeTooLarge), http.StatusRequestEntityTooLarge, 0, ""},
	{string(syncproto.CodeUnsupportedType), http.StatusUnsupportedMediaType, 0, ""},

	{string(syncproto.CodeEnrolCode), http.StatusUnprocessableEntity, 0, ""},
	{casework.CodeInvalidValue, http.StatusUnprocessableEntity, 0, ""},
	{casework.CodeNotSealed, http.StatusUnprocessableEntity, 0, ""},
	{casework.CodeGuardFailed, http.StatusUnprocessableEntity, 0, ""},
	{"form_unknown", http.StatusUnprocessableEntity, 0, ""},

	{string(syncproto.CodeVersion), http.StatusUpgradeRequired, 0, ""},
	{string(syncproto.CodeForeignBundle), http.StatusUnprocessableEntity, 0, ""},
	{string(syncproto.CodeTooMany), http.StatusTooManyRequests, 60, ""},
	{string(syncproto.CodeQuota), http.StatusTooManyRequests, 3600, ""},
	{string(syncproto.CodeParkedFull), http.StatusTooManyRequests, 3600, ""},
	{"locked", http.StatusTooManyRequests, 900, ""},
	{codeHeaderTooLong, http.StatusRequestHeaderFieldsTooLarge, 0, "请求头过大,请更新应用后重试。"},

	{codeInternal, http.StatusInternalServerError, 0, "服务器内部出错,请稍后重试;如反复出现,请把编号告诉管理员。"},
	{string(syncproto.CodeUnavailable), http.StatusServiceUnavailable, 5, ""},
}

// plain says the statuses that HTTP itself gives, before any verb was called.
var plain = []row{
	{code: string(syncproto.CodeMalformed), status: http.StatusBadRequest},
	{code: string(syncproto.CodeTokenInvalid), status: http.StatusUnauthorized},
	{code: casework.CodeForbidden, status: http.StatusForbidden},
	{code: codeNotFound, status: http.StatusNotFound},
	{code: codeMethod, status: http.StatusMethodNotAllowed},
	{code: string(syncproto.CodeTruncated), status: http.StatusRequestTimeout},
	{code: string(syncproto.CodeTooLarge), status: http.StatusRequestEntityTooLarge},
	{code: string(syncproto.CodeUnsupportedType), status: http.StatusUnsupportedMediaType},
	{code: casework.CodeInvalidValue, status: http.StatusUnprocessableEntity},
	{code: string(syncproto.CodeTooMany), status: http.StatusTooManyRequests},
	{code: codeHeaderTooLong, status: http.StatusRequestHeaderFieldsTooLarge},
	{code: string(syncproto.CodeUnavailable), status: http.StatusServiceUnavailable},
}

// lookup finds a code. One that is missing was made by a rule that refused something: 422.
func lookup(code string) row {
	for _, r := range table {
		if r.code == code {
			if r.title == "" {
				r.title = titleOf(code)
			}
			return r
		}
	}
	return row{code: code, status: http.StatusUnprocessableEntity, title: titleOf(code)}
}

func titleOf(code string) string {
	if w := syncproto.Code(code).Words(); w != "" {
		return w
	}
	return "无法办理,请检查后重试。"
}
