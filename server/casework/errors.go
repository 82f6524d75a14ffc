package casework

import "errors"

// Error is a refusal by a rule: a code for programs and a message for the person, in Chinese, that says what to do.
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// The codes of the rules. Others may use codes of their own.
const (
	CodeInvalidValue      = "invalid_value"
	CodeNotSealed         = "not_sealed"
	CodeInvalidTransition = "invalid_transition" // the state does not allow the action: somebody was faster
	CodeForbiddenActor    = "forbidden_actor"    // the role may not take this step, whatever the state
	CodeGuardFailed       = "guard_failed"
	CodeForbidden         = "forbidden"
	CodeNotFound          = "not_found" // also for what lies outside the caller's region
)

// NewError makes an Error.
func NewError(code, message string) *Error { return &Error{code, message} }

// CodeOf is the code of an Error, "" for nil and "internal" for anything else.
func CodeOf(err error) string {
	if err == nil {
		return "" // before e, which lies on the heap
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return "internal"
}

// MessageOf is the message of an Error, or "".
func MessageOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}
