package blobs

import (
	"context"
	"errors"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"aidloop/storage/blob"
)

// problem is one way in which a request can fail: RFC 9457's application/problem+json with a code for programs and a title for people.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
}

// statusChecksumMismatch is tus's own status, from its checksum extension.
const statusChecksumMismatch = 460

var (
	problemUnauthenticated = problem{fiber.StatusUnauthorized, "unauthenticated", "请先登录"}
	problemForbidden       = problem{fiber.StatusForbidden, "upload_forbidden", "本设备没有上传权限"}
	problemNotFound        = problem{fiber.StatusNotFound, "not_found", "没有找到该文件或上传任务"}
	problemExpired         = problem{fiber.StatusGone, "upload_expired", "上传任务已过期，请重新上传"}
	problemVersion         = problem{fiber.StatusPreconditionFailed, "tus_version", "不支持的上传协议版本"}
	problemLength          = problem{fiber.StatusBadRequest, "upload_length_invalid", "文件长度缺失或无效"}
	problemMetadata        = problem{fiber.StatusBadRequest, "upload_metadata_invalid", "文件说明缺失或无效，必须包含 sha256"}
	problemOffset          = problem{fiber.StatusBadRequest, "upload_offset_invalid", "上传位置缺失或无效"}
	problemChecksum        = problem{fiber.StatusBadRequest, "upload_checksum_invalid", "数据块校验值无效或算法不受支持,请重新上传"}
	problemConcat          = problem{fiber.StatusBadRequest, "upload_concat_unsupported", "不支持分段合并上传"}
	problemMethod          = problem{fiber.StatusMethodNotAllowed, "method_not_allowed", "不支持的操作"}
	problemContentType     = problem{fiber.StatusUnsupportedMediaType, "content_type_invalid", "上传内容的类型无效"}
	problemConflict        = problem{fiber.StatusConflict, "upload_offset_conflict", "上传位置与服务器记录不一致，请从服务器记录处继续"}
	problemTooLarge        = problem{fiber.StatusRequestEntityTooLarge, "blob_too_large", "文件超过声明的长度或大小上限"}
	problemTooMany         = problem{fiber.StatusTooManyRequests, "too_many_uploads", "本设备未完成的上传过多，请稍后再试"}
	problemChunk           = problem{statusChecksumMismatch, "chunk_checksum_mismatch", "数据块校验失败，请重新发送该数据块"}
	problemHash            = problem{fiber.StatusUnprocessableEntity, "blob_hash_mismatch", "文件内容与声明的校验值不一致，请重新上传"}
	problemLocked          = problem{fiber.StatusLocked, "upload_locked", "该文件正在由另一个连接上传"}
	problemInterrupted     = problem{fiber.StatusBadRequest, "upload_interrupted", "上传中断，已收到的部分已保存"}
	problemRange           = problem{fiber.StatusRequestedRangeNotSatisfiable, "range_invalid", "请求的范围无效"}
	problemCorrupt         = problem{fiber.StatusInternalServerError, "blob_corrupt", "文件已损坏，请联系管理员"}
	problemUnavailable     = problem{fiber.StatusServiceUnavailable, "unavailable", "暂时无法处理，请稍后重试"}
)

// send answers with the problem. The title goes out as UTF-8.
func (p problem) send(c *fiber.Ctx) error {
	c.Status(p.Status)
	if p == problemTooMany || p == problemUnavailable {
		c.Set(fiber.HeaderRetryAfter, "30")
	}
	if err := c.JSON(p); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "application/problem+json; charset=utf-8")
	return nil
}

// problemOf maps what the store or the body reported. It is the one place that does; whatever has no entry is the server's own trouble.
func problemOf(err error) problem {
	var offset *blob.OffsetError
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return problemUnauthenticated
	case errors.Is(err, ErrForbidden):
		return problemForbidden
	case errors.Is(err, blob.ErrNotFound):
		return problemNotFound
	case errors.Is(err, blob.ErrExpired):
		return problemExpired
	case errors.As(err, &offset), errors.Is(err, blob.ErrIncomplete):
		return problemConflict
	case errors.Is(err, blob.ErrTooLong):
		return problemTooLarge
	case errors.Is(err, blob.ErrTooMany):
		return problemTooMany
	case errors.Is(err, errChunk):
		return problemChunk
	case errors.Is(err, blob.ErrMismatch):
		return problemHash
	case errors.Is(err, errBusy):
		return problemLocked
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return problemInterrupted
	case errors.Is(err, blob.ErrCorrupt):
		return problemCorrupt
	}
	return problemUnavailable
}

// fail answers with err's problem and logs what is the server's own trouble. Only codes and ids of our own making are logged.
func (h *Handler) fail(c *fiber.Ctx, err error) error {
	p := problemOf(err)
	var offset *blob.OffsetError
	if errors.As(err, &offset) {
		c.Set(headerOffset, strconv.FormatInt(offset.Have, 10))
	}
	if p.Status >= fiber.StatusInternalServerError {
		h.cfg.Log.Error("blob request failed", "code", p.Code, "method", c.Method(), "error", err)
	}
	return p.send(c)
}
