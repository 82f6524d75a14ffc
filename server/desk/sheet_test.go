package desk

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// An XLSX row of one cell far to the right costs as much as one that is full up to there: a small file could otherwise
// ask for gigabytes.
func TestSheetsAreNarrow(t *testing.T) {
	rows := func(n int, column string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `<row r="%d"><c r="%s%d" t="inlineStr"><is><t>x</t></is></c></row>`, i+1, column, i+1)
		}
		return b.String()
	}
	if table, err := readXLSX(workbook(t, rows(200, "XFD")), 1000); err == nil {
		t.Errorf("%d rows of 16,384 columns are read", len(table))
	}
	table, err := readXLSX(workbook(t, rows(20, "ET")), 1000)
	if err != nil || len(table) != 20 || len(table[0]) != maxColumns || cap(table[0]) > 2*maxColumns {
		t.Errorf("%d rows, %v", len(table), err)
	}
}

// workbook is the smallest XLSX that holds such rows.
func workbook(t *testing.T, rows string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	const head = `<?xml version="1.0" encoding="UTF-8"?>`
	for name, body := range map[string]string{
		"[Content_Types].xml":        `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`,
		"_rels/.rels":                `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml":            `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml":   `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>` + rows + `</sheetData></worksheet>`,
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(head + body))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// A return file that cannot be read whole is not taken at all, and says where it is wrong.
func TestReturnFiles(t *testing.T) {
	rows, err := ReadReturns([]byte("\ufeff结果,编号,原因,金额\n成功,a1,,620\n\n失败,a2,账户已注销,620\n失败,a3,,620\n"))
	want := []loop.BankRow{{Row: 2, Aid: "a1", Paid: true}, {Row: 4, Aid: "a2", Reason: "账户已注销"}, {Row: 5, Aid: "a3"}}
	if err != nil || !slices.Equal(rows, want) {
		t.Errorf("%+v, %v", rows, err)
	}
	for text, says := range map[string]string{"": "第一行", "编号,原因\na,b\n": "“结果”", "结果\n成功\n": "“编号”", "编号,结果\na,成功\nb,已付\n": "第3行"} {
		if _, err := ReadReturns([]byte(text)); !strings.Contains(casework.MessageOf(err), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Rows keep the numbers that a spreadsheet shows: empty lines count, and so do cells of several lines as one row.
func TestRowsKeepTheirNumbers(t *testing.T) {
	table, err := readNamed([]byte("编号,结果\n\n甲,\"两\n行\"\n\n\n乙,成功\n"), 10, func(h string) string { return h })
	if err != nil || len(table.rows) != 2 || table.rows[0].n != 3 || table.rows[1].n != 6 {
		t.Fatalf("%+v, %v", table, err)
	}
	if _, err := readNamed([]byte("编号\n"+strings.Repeat("\n", 100)+"甲\n"), 10, func(h string) string { return h }); err == nil {
		t.Error("a table of a hundred rows is within ten")
	}
}
