package syncproto

// ChangeStatus is what became of one change of a judged group.
type ChangeStatus string

// The three statuses of a change.
const (
	StatusApplied  ChangeStatus = "applied"  // written as it came
	StatusMerged   ChangeStatus = "merged"   // somebody had written the same values; nothing is lost
	StatusConflict ChangeStatus = "conflict" // a value was kept as a conflict record for people to settle
)

// GroupStatus is what became of a group.
type GroupStatus string

// A held group is open and becomes judged or rejected exactly once.
const (
	GroupJudged   GroupStatus = "judged"
	GroupHeld     GroupStatus = "held"
	GroupRejected GroupStatus = "rejected"
)

// Code names why something was held, rejected or refused. The list is closed: codes are added, never reused.
type Code string

// Reasons to hold a group. Each can still end well.
const (
	CodeStaleState   Code = "stale_state"  // the workflow moved on since the act was captured
	CodeMissingBase  Code = "missing_base" // it builds on a change that has not arrived
	CodeBlocked      Code = "blocked"      // an earlier group of the device on the same record is held
	CodeOutOfScope   Code = "unknown_or_out_of_scope"
	CodeGrantRevoked Code = "grant_revoked" // captured under a grant that was revoked since
	CodeQuarantine   Code = "quarantine"    // the device is revoked, lost or frozen
	CodeUnknownKind  Code = "unknown_kind"  // from a newer app; judged after the server's upgrade
	CodeStoreFault   Code = "store_fault"   // judging it failed again and again; the desk looks at it
)

// What may be said of a judged group.
const (
	CodeAmendment Code = "amendment" // the record was approved already; the edit waits for a reviewer's word
)

// Reasons to reject a group: it can never become valid. Its bytes are kept all the same.
const (
	CodeBadChange    Code = "bad_change"
	CodeServerField  Code = "server_field"
	CodeInvalidValue Code = "invalid_value"
	CodeNotSealed    Code = "not_sealed"
	CodeNotAllowed   Code = "not_allowed" // the role may not do this, wherever it is
	CodeGuardFailed  Code = "guard_failed"
	CodeWrongRoot    Code = "wrong_root" // a change of the group belongs to another household
	CodeReissued     Code = "reissued"   // the phone was enrolled anew and sent it again under its new identity
)

// Refusals of a whole exchange. Nothing of the request was stored, and the device keeps everything.
const (
	CodeMalformed       Code = "malformed"
	CodeTruncated       Code = "truncated"
	CodeTooLarge        Code = "too_large"
	CodeBadGroup        Code = "bad_group"
	CodeBadSignature    Code = "bad_signature"
	CodeBadChain        Code = "bad_chain"
	CodeUnknownDevice   Code = "unknown_device"
	CodeForeignToken    Code = "foreign_token"
	CodeTokenInvalid    Code = "token_invalid"
	CodeDseqGap         Code = "dseq_gap"
	CodeDseqReused      Code = "dseq_reused"
	CodeFork            Code = "fork"
	CodeVersion         Code = "version_unsupported"
	CodeTooMany         Code = "too_many"
	CodeRevoked         Code = "revoked"
	CodeSuspended       Code = "suspended" // reported lost: it goes on when it is found
	CodeUnavailable     Code = "unavailable"
	CodeQuota           Code = "quota"
	CodeEnrolCode       Code = "enrol_code_invalid"
	CodeUnsupportedType Code = "unsupported_type"
	CodeChunkGone       Code = "chunk_gone"     // a snapshot's chunk is not kept any more, or not for this device: ask for the bucket again
	CodeForeignBundle   Code = "foreign_bundle" // a file that was made for another server or phone
	CodeParked          Code = "parked"         // in the reply to a bundle: kept, and judged when what comes before it has arrived
	CodeParkedFull      Code = "parked_full"    // too much of the device waits for what comes before it
)

// words says each code to the person who holds the phone, and what to do about it.
var words = map[Code]string{
	CodeStaleState:   "这条记录的办理状态已经变化,您的操作已保存,等待镇街审核员处理。",
	CodeMissingBase:  "前面的修改还没有送达,已保存,收到后自动处理。",
	CodeBlocked:      "同一记录的前一次提交还在等待处理,本次已保存并排队。",
	CodeOutOfScope:   "这户不存在或不在您的负责范围,内容已保存,请联系镇街核对分工。",
	CodeGrantRevoked: "采集后您的负责范围有调整,内容已保存,由镇街审核员确认。",
	CodeQuarantine:   "这台设备已被停用,内容已单独保存,请联系管理员。",
	CodeUnknownKind:  "手机应用版本比服务器新,内容已保存,服务器升级后自动处理。",
	CodeStoreFault:   "服务器暂时无法处理这一条,内容已保存,管理员会查看。",

	CodeAmendment: "这条记录已审核通过,您的修改已作为更正申请提交,等待审核员确认。",

	CodeBadChange:    "内容格式不正确,无法处理,原始内容已保存,请更新应用后重新提交。",
	CodeServerField:  "其中有只能由系统填写的项目,请更新应用后重新提交。",
	CodeInvalidValue: "有一项填写不符合要求,请按提示修改后重新提交。",
	CodeNotSealed:    "敏感信息没有加密,为保护隐私不予采用,请更新应用后重新提交。",
	CodeNotAllowed:   "您的岗位不能进行这项操作,请联系镇街。",
	CodeGuardFailed:  "提交条件不满足,请按提示补充后重新提交。",
	CodeWrongRoot:    "一次提交只能属于同一户,请分户提交。",
	CodeReissued:     "手机重新登记后已重新提交这一组,以新的一组为准。",

	CodeMalformed:       "请求格式不正确,请更新应用后重试;手机上的内容没有丢失。",
	CodeTruncated:       "网络中断,数据没有传完,请重试;手机上的内容没有丢失。",
	CodeTooLarge:        "一次发送的内容过大,应用会分批重发。",
	CodeBadGroup:        "有一组数据格式不正确,请更新应用;手机上的内容没有丢失。",
	CodeBadSignature:    "设备签名不正确,请重新登记设备;手机上的内容没有丢失。",
	CodeBadChain:        "数据在传输中损坏,请重试;手机上的内容没有丢失。",
	CodeUnknownDevice:   "这台设备没有登记,请向管理员索取登记码;手机上的内容没有丢失。",
	CodeForeignToken:    "登录凭证属于另一台设备,请重新登录。",
	CodeTokenInvalid:    "登录已过期,请重新登录;已采集的内容仍可上传。",
	CodeDseqGap:         "缺少前面的数据,应用会从缺少处重发。",
	CodeDseqReused:      "同一编号出现了不同内容,设备需要重新登记;双方内容都已保存。",
	CodeFork:            "这台设备的数据与服务器记录分叉(可能恢复过备份),请重新登记;双方内容都已保存。",
	CodeVersion:         "应用版本过旧,请更新;已采集的内容仍可上传。",
	CodeTooMany:         "请求过于频繁,请稍后再试。",
	CodeRevoked:         "这台设备已被停用,请联系管理员。",
	CodeSuspended:       "这台设备已报失,暂停使用;手机上的内容没有丢失,找到后请镇街恢复使用。",
	CodeUnavailable:     "服务器暂时不可用,请稍后重试;手机上的内容没有丢失。",
	CodeQuota:           "今天上传的内容已达上限,其余内容保留在手机上,稍后自动继续。",
	CodeEnrolCode:       "登记码无效、已使用或已过期,请向管理员重新索取。",
	CodeUnsupportedType: "请求的内容类型不支持,请更新应用。",
	CodeChunkGone:       "这一段数据已更新,应用会重新获取;手机上的内容没有丢失。",
	CodeForeignBundle:   "这个数据包不是给这里的(可能属于另一台服务器或手机,或手机重新登记之前的身份),请核对文件。",
	CodeParked:          "数据包已收下,但前面的数据还没有到,先存着,补齐后自动处理。",
	CodeParkedFull:      "这台手机等待补齐的数据包过多,请先导入更早的数据包,再导入这一个;已收下的没有丢失。",
}

// Words returns the code's message in Chinese: what happened and what to do.
func (c Code) Words() string { return words[c] }

// Codes lists every code there is, for documents and tests.
func Codes() []Code {
	list := make([]Code, 0, len(words))
	for c := range words {
		list = append(list, c)
	}
	return list
}

// Error is a refusal of a whole exchange.
type Error struct {
	Code   Code
	Detail string // for developers, in English; never a value from a record
	// Have and Head tell a device after a gap where the server stands.
	Have uint64
	Head Hash
}

// Error writes the code and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Detail
}

// Refuse builds an Error.
func Refuse(c Code, detail string) *Error { return &Error{Code: c, Detail: detail} }
