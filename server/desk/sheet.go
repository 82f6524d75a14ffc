package desk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// columns maps the headings that senders use to the fields of a lead.
var columns = map[string]string{
	"线索编号": "ref", "编号": "ref", "姓名": "name", "对象姓名": "name", "身份证号": "id", "身份证号码": "id", "证件号码": "id",
	"联系电话": "phone", "电话": "phone", "镇街": "town", "镇(街道)": "town", "乡镇": "town", "村社区": "village", "村(社区)": "village", "村": "village",
	"详细地址": "address", "地址": "address", "预警类型": "type", "线索类型": "type", "预警原因": "reason", "原因": "reason", "下发日期": "date", "日期": "date",
}

// typeWords are other words that senders use for lead types, beside the labels of the code list.
var typeWords = map[string]string{
	"疑似不符合条件": "suspected_ineligible", "重复救助": "duplicate", "死亡未退出": "deceased", "返贫风险": "risk_rising", "漏保": "suspected_missed",
	"政策未落实": "benefit_not_delivered", "信息不符": "info_mismatch",
}

func bad(message string) error { return casework.NewError(casework.CodeInvalidValue, message) }

// named is a table whose first row names its columns.
type named struct {
	at   map[string]int // field → column
	rows []namedRow
}

// namedRow is a row that is not empty, with the number that the sender's program shows.
type namedRow struct {
	n     int
	cells []string
}

// readNamed reads a table of at most so many rows: XLSX (its first sheet), or CSV in UTF-8 or GB18030 as older office
// programs save it. field is the name of the field under a heading, "" for a column that is passed over.
func readNamed(b []byte, limit int, field func(heading string) string) (*named, error) {
	table, err := readTable(b, limit)
	if err != nil {
		return nil, err
	}
	if len(table) == 0 {
		return nil, bad("表格是空的,第一行应为列名。")
	}
	t := &named{at: map[string]int{}}
	for i, head := range table[0] {
		if f := field(strings.TrimSpace(strings.TrimPrefix(head, "\ufeff"))); f != "" {
			t.at[f] = i
		}
	}
	for i, cells := range table[1:] {
		if slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" }) {
			t.rows = append(t.rows, namedRow{i + 2, cells})
		}
	}
	return t, nil
}

// lacks is the first of some fields that the table has no column for, "" for none.
func (t *named) lacks(fields ...string) string {
	for _, f := range fields {
		if _, ok := t.at[f]; !ok {
			return f
		}
	}
	return ""
}

// cell is a row's cell of a field, "" where there is none.
func (t *named) cell(r namedRow, field string) string {
	if i, ok := t.at[field]; ok && i < len(r.cells) {
		return strings.TrimSpace(r.cells[i])
	}
	return ""
}

// ReadSheet reads a table of leads as readNamed does. More headings than those of columns are understood where the sender
// has some of his own: heading → field.
func ReadSheet(b []byte, own map[string]string) ([]loop.LeadRow, error) {
	t, err := readNamed(b, loop.MaxImportRows, func(heading string) string {
		if f, ok := own[heading]; ok {
			return f
		}
		return columns[heading]
	})
	if err != nil {
		return nil, err
	}
	if t.lacks("ref", "name", "town", "type") != "" {
		return nil, bad("缺少必要的列,请使用模板:线索编号、姓名、身份证号、联系电话、镇街、村社区、详细地址、预警类型、预警原因、下发日期。")
	}
	if len(t.rows) == 0 {
		return nil, bad("表格里没有数据行,第一行应为列名,从第二行起为线索。")
	}
	rows := make([]loop.LeadRow, len(t.rows))
	for i, r := range t.rows {
		cell := func(f string) string { return t.cell(r, f) }
		rows[i] = loop.LeadRow{Row: r.n, SourceRef: cell("ref"), Type: typeOf(cell("type")), SubjectName: cell("name"), IDNumber: cell("id"),
			Phone: cell("phone"), Town: cell("town"), Village: cell("village"), Address: cell("address"), Reason: cell("reason"), IssuedOn: dateOf(cell("date"))}
	}
	return rows, nil
}

// readTable reads the cells of a table of at most so many rows behind its head.
func readTable(b []byte, limit int) ([][]string, error) {
	if bytes.HasPrefix(b, []byte("PK\x03\x04")) {
		return readXLSX(b, limit)
	}
	if !utf8.Valid(b) {
		decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
		if err != nil {
			return nil, bad("文件编码无法识别,请另存为UTF-8编码的CSV或XLSX。")
		}
		b = decoded
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	var table [][]string
	for next := 1; ; { // the line that the next record begins on where no empty ones are passed over
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return table, nil
		}
		if err != nil {
			return nil, bad("CSV格式不正确,请检查引号和换行,或改用XLSX。")
		}
		line, _ := r.FieldPos(0)
		for ; next < line && len(table) > 0 && len(table) <= limit; next++ {
			table = append(table, nil) // an empty line is a row of the sender's program too
		}
		if len(table) > limit {
			return nil, bad("行数过多,请分批导入。")
		}
		table = append(table, rec)
		for next = line + 1; len(rec) > 0; rec = rec[1:] {
			next += strings.Count(rec[0], "\n")
		}
	}
}

// The bounds of an XLSX file. Parts of it that are larger than the first would go through files on disk in the open.
const (
	maxUnzipped = 64 << 20 // bytes of all its parts
	maxColumns  = 128      // of a row that are looked at
	maxCells    = 2 << 20  // in all: a cell can name the 16,384th column, and empty ones are made up to it
)

func readXLSX(b []byte, limit int) ([][]string, error) {
	f, err := excelize.OpenReader(bytes.NewReader(b), excelize.Options{UnzipSizeLimit: maxUnzipped, UnzipXMLSizeLimit: maxUnzipped})
	if err != nil {
		return nil, bad("XLSX文件无法打开,请检查文件是否损坏或加密。")
	}
	defer f.Close()
	rows, err := f.Rows(f.GetSheetName(0))
	if err != nil {
		return nil, bad("XLSX文件里没有工作表。")
	}
	defer rows.Close()
	var table [][]string
	made := 0
	for rows.Next() {
		cells, err := rows.Columns()
		if err != nil {
			return nil, bad("XLSX文件读取失败,请另存后重试。")
		}
		if made += len(cells); made > maxCells {
			return nil, bad("表格过宽或过长,请删除右侧多余的列,或另存为CSV后重试。")
		}
		if len(table) > limit {
			return nil, bad("行数过多,请分批导入。")
		}
		table = append(table, slices.Clone(cells[:min(len(cells), maxColumns)]))
	}
	return table, nil
}

// typeOf takes a code or its Chinese label; what is neither goes on as it is and is refused with its row.
func typeOf(s string) string {
	for _, t := range casework.Enums["lead_type"] {
		if s == t.Code || s == t.Label {
			return t.Code
		}
	}
	if code, ok := typeWords[s]; ok {
		return code
	}
	return s
}

// dateOf understands the ways in which spreadsheets write a day; what it does not understand is refused with its row.
func dateOf(s string) string {
	for _, layout := range []string{time.DateOnly, "2006/1/2", "2006-1-2", "2006年1月2日", "20060102", "01-02-06", "1/2/06", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return s
}
