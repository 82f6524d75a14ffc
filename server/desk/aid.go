package desk

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// MeasureView is a kind of help that a department gives.
type MeasureView struct {
	Code  string   `json:"code"`
	Label string   `json:"label"`
	Dept  string   `json:"dept"`
	Layer string   `json:"layer" enum:"basic,special,social"`
	Needs []string `json:"needs" doc:"The difficulties that it answers."`
	Money bool     `json:"money,omitempty" doc:"An amount is paid out."`
}

// FundView is what was spent on a measure in a month.
type FundView struct {
	MeasureView
	Count int              `json:"count"`
	Sums  map[string]int64 `json:"sums" doc:"分, by state of the records."`
}

// PaymentsDone says what became of a month's payments.
type PaymentsDone struct {
	Done      int `json:"done"`
	Unchanged int `json:"unchanged,omitempty" doc:"On record already."`
	Cancelled int `json:"cancelled,omitempty" doc:"Of households whose help has ended."`
	NoAccount int `json:"no_account,omitempty" doc:"That wait for a bank account on a member of the household."`
}

// PaymentView is one line of a month's list for the bank.
type PaymentView struct {
	ID       string `json:"id"`
	Region   string `json:"region"`
	State    string `json:"state"`
	Measure  string `json:"measure"`
	Amount   int64  `json:"amount" doc:"分."`
	Name     string `json:"name,omitempty"`
	IDNumber string `json:"id_number,omitempty"`
	Account  string `json:"account,omitempty" doc:"None where nobody in the household has one on record."`
}

// MonthInput says which month, and as what it is answered.
type MonthInput struct {
	Month  string `query:"month" required:"true" minLength:"7" maxLength:"7" doc:"2026-07."`
	Format string `query:"format" enum:"json,csv,xlsx" default:"json"`
}

// aid are the operations of help that is given, and of what is paid every month.
func (a *API) aid() {
	huma.Register(a.huma, op(http.MethodGet, "/measures", "list-measures", "aid", "List the measures of every department"),
		func(_ context.Context, in *struct {
			Need string `query:"need" maxLength:"32" doc:"Only those that answer a difficulty: whom to refer it to."`
			Dept string `query:"dept" maxLength:"16"`
		}) (*body[[]MeasureView], error) {
			list := []MeasureView{}
			for _, m := range casework.Measures {
				if (in.Need == "" || slices.Contains(m.Needs, in.Need)) && (in.Dept == "" || m.Dept == in.Dept) {
					list = append(list, MeasureView(m))
				}
			}
			return answer(list, nil)
		})
	huma.Register(a.huma, op(http.MethodPost, "/aid", "plan-aid", "aid", "Enter help that your department is going to give"),
		func(ctx context.Context, in *struct {
			Body struct {
				Referral   string `json:"referral,omitempty" maxLength:"64" doc:"That your department has accepted."`
				Household  string `json:"household,omitempty" maxLength:"64" doc:"For the bureau, where there is no referral."`
				Monitoring string `json:"monitoring,omitempty" maxLength:"64" doc:"For agriculture, of a household that it monitors."`
				Person     string `json:"person,omitempty" maxLength:"64" doc:"Of the household; all of it without."`
				Measure    string `json:"measure" maxLength:"64" doc:"Of /measures."`
				Amount     int64  `json:"amount,omitempty" minimum:"0" doc:"分."`
				Month      string `json:"month,omitempty" maxLength:"7" doc:"That it is for, 2026-07; the present one without."`
				Note       string `json:"note,omitempty" maxLength:"500" doc:"Sealed."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.PlanAid(ctx, actor(ctx), loop.AidInput(in.Body))
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/aid/{id}/publication", "publish-aid", "aid", "Publish help that your department has approved, for the days of a publication"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"64"`
		}) (*body[Made], error) {
			id, err := a.Loop.PublishAid(ctx, actor(ctx), in.ID)
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/aid/{id}/{action}", "step-aid", "aid", "Take an aid record one step on"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"approve,cancel,disburse,confirm,fail,recover"`
			Body   struct {
				Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Sealed; needed with cancel, fail and recover."`
			}
		}) (*empty, error) {
			return done(a.Loop.StepAid(ctx, actor(ctx), in.ID, in.Action, in.Body.Reason))
		})
	funds := op(http.MethodGet, "/funds", "list-funds", "aid", "Add a month's aid up by measure")
	funds.Responses = fileResponses[[]FundView](a, "What was spent")
	huma.Register(a.huma, funds, func(ctx context.Context, in *MonthInput) (*file, error) {
		list, err := a.Loop.Funds(ctx, actor(ctx), in.Month)
		if err != nil {
			return nil, wrap(err)
		}
		out, err := fundsAs(in, list)
		return out, wrap(err)
	})
	a.results()
	a.payments()
}

// ResultView is what a measure has come to.
type ResultView struct {
	Code       string `json:"code"`
	Label      string `json:"label" zh:"救助措施"`
	Dept       string `json:"dept"`
	DeptName   string `json:"dept_name" zh:"部门"`
	Records    int    `json:"records" zh:"记录"`
	Arrived    int    `json:"arrived" zh:"已发放或落实" doc:"Handed out, or confirmed."`
	Failed     int    `json:"failed" zh:"失败"`
	Recovered  int    `json:"recovered" zh:"追回"`
	Days       int    `json:"days" zh:"办理天数(中位)" doc:"Median from the plan to the handing out; -1 where nothing was handed out."`
	Households int    `json:"households" zh:"惠及户数"`
	Exits      int    `json:"exits" zh:"其中已退出" doc:"Of the households, those that have left help since."`
	Rated      int    `json:"rated" zh:"评估次数" doc:"Assessments by third parties."`
	Rating     int    `json:"rating" zh:"平均评分(百分之一)" doc:"Their mean in hundredths, of 1 to 5."`
	Delivered  int    `json:"delivered" zh:"评估认为已落实" doc:"Of the assessments, those that found the help delivered."`
}

// ServedView is an unemployed person with the services of a year.
type ServedView struct {
	Person    string `json:"person"`
	Household string `json:"household"`
	Name      string `json:"name" zh:"姓名"`
	IDNumber  string `json:"id_number" zh:"身份证号"`
	Town      string `json:"town" zh:"镇(街道)"`
	Village   string `json:"village" zh:"村(社区)"`
	Since     string `json:"since" zh:"失业登记" doc:"Registered as unemployed."`
	Offers    int    `json:"offers" zh:"岗位推荐"`
	Guidance  int    `json:"guidance" zh:"职业指导"`
	Training  int    `json:"training" zh:"职业培训"`
	Lacks     string `json:"lacks,omitempty" zh:"尚缺" doc:"What is missing of three offers, one guidance and one training, in words."`
}

// results are what measures have come to, and the employment bureau's yearly count.
func (a *API) results() {
	listing(a, op(http.MethodGet, "/measures/results", "list-results", "aid", "Say what the help of some months has come to, by measure"), "救助措施成效",
		func(ctx context.Context, in *struct {
			AsTable
			From string `query:"from" required:"true" minLength:"7" maxLength:"7" doc:"The first month, 2026-01."`
			To   string `query:"to" required:"true" minLength:"7" maxLength:"7"`
		}) ([]ResultView, []ResultView, error) {
			list, err := a.Loop.MeasureResults(ctx, actor(ctx), in.From, in.To)
			out := make([]ResultView, len(list))
			for i, r := range list {
				out[i] = ResultView{r.Measure.Code, r.Measure.Label, r.Measure.Dept, casework.Label("department", r.Measure.Dept), r.Records, r.Arrived, r.Failed, r.Recovered, r.Days,
					r.Households, r.Exits, r.Rated, r.Rating, r.Delivered}
			}
			return out, out, err
		})
	listing(a, op(http.MethodGet, "/job-services", "list-job-services", "aid", "Count the yearly three offers, one guidance and one training of every unemployed person of the low-income population; opening it is audited"), "311就业服务",
		func(ctx context.Context, in *struct {
			AsTable
			Year int `query:"year" required:"true" minimum:"2000" maximum:"2100"`
		}) ([]ServedView, []ServedView, error) {
			list, err := a.Loop.JobServices(ctx, actor(ctx), in.Year)
			out := make([]ServedView, len(list))
			for i, x := range list {
				out[i] = ServedView{x.Person, x.Household, x.Name, x.IDNumber, x.Town, x.Village, x.Since, x.Offers, x.Guidance, x.Training, x.Lacks}
			}
			return out, out, err
		})
}

// fundStates are the columns of a table of funds.
var fundStates = []string{"planned", "approved", "disbursed", "confirmed", "failed", "recovered"}

func fundsAs(in *MonthInput, list []loop.Fund) (*file, error) {
	if in.Format == "json" {
		out := make([]FundView, len(list))
		for i, f := range list {
			out[i] = FundView{MeasureView(f.Measure), f.Count, f.Sums}
		}
		return jsonFile(out)
	}
	head := []any{"部门", "救助措施", "笔数"}
	for _, s := range fundStates {
		head = append(head, casework.Label("state", s)+"(元)")
	}
	table := [][]any{head}
	for _, f := range list {
		row := []any{casework.Label("department", f.Measure.Dept), f.Measure.Label, f.Count}
		for _, s := range fundStates {
			row = append(row, yuan(f.Sums[s]))
		}
		table = append(table, row)
	}
	return tableFile(in.Format, "funds-"+in.Month, "资金", table)
}

// yuan writes hundredths, such as 分, with two places.
func yuan(fen int64) string { return fmt.Sprintf("%d.%02d", fen/100, fen%100) }

func (a *API) payments() {
	huma.Register(a.huma, op(http.MethodPost, "/payments", "plan-payments", "aid", "Enter a month's basic living of every household that receives it, once"),
		func(ctx context.Context, in *struct {
			Body struct {
				Month string `json:"month" minLength:"7" maxLength:"7" doc:"2026-07."`
			}
		}) (*body[PaymentsDone], error) {
			rep, err := a.Loop.PlanPayments(ctx, actor(ctx), in.Body.Month)
			return answer(PaymentsDone(rep), err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/payments/{month}/{action}", "step-payments", "aid", "Approve a month's payments, or hand them to the bank"),
		func(ctx context.Context, in *struct {
			Month  string `path:"month" maxLength:"7"`
			Action string `path:"action" enum:"approve,disburse"`
		}) (*body[PaymentsDone], error) {
			rep, err := a.Loop.StepPayments(ctx, actor(ctx), in.Month, in.Action)
			return answer(PaymentsDone(rep), err)
		})
	list := op(http.MethodGet, "/payments", "list-payments", "aid", "List a month's payments for the bank, with accounts; opening it is audited")
	list.Responses = fileResponses[[]PaymentView](a, "The payments")
	huma.Register(a.huma, list, func(ctx context.Context, in *struct {
		MonthInput
		State []string `query:"state" doc:"Only these states, with commas between."`
	}) (*file, error) {
		all, err := a.Loop.Payments(ctx, actor(ctx), in.Month, in.State)
		if err != nil {
			return nil, wrap(err)
		}
		out, err := paymentsAs(&in.MonthInput, all)
		return out, wrap(err)
	})
	returns := op(http.MethodPost, "/payments/returns", "take-returns", "aid", "Take the bank's return file, as CSV or XLSX with 编号, 结果 (成功 or 失败) and 原因")
	returns.MaxBodyBytes = maxSheet
	returns.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": {}, xlsxType: {}}}
	huma.Register(a.huma, returns, func(ctx context.Context, in *struct{ RawBody []byte }) (*body[loop.Report], error) {
		rows, err := ReadReturns(in.RawBody)
		if err != nil {
			return nil, wrap(err)
		}
		rep, err := a.Loop.TakeReturns(ctx, actor(ctx), rows)
		if err != nil {
			return nil, wrap(err)
		}
		return answer(*rep, nil)
	})
}

func paymentsAs(in *MonthInput, all []loop.Payment) (*file, error) {
	if in.Format == "json" {
		out := make([]PaymentView, len(all))
		for i, p := range all {
			out[i] = PaymentView{p.Aid, p.Region, p.State, p.Measure, p.Amount, p.Name, p.IDNumber, p.Account}
		}
		return jsonFile(out)
	}
	table := [][]any{{"编号", "区划", "状态", "项目", "姓名", "身份证号", "银行账号", "金额(元)"}}
	for _, p := range all {
		table = append(table, []any{p.Aid, p.Region, casework.Label("state", p.State), casework.Label("measure", p.Measure), p.Name, p.IDNumber, p.Account, yuan(p.Amount)})
	}
	return tableFile(in.Format, "payments-"+in.Month, "发放清单", table)
}

// ReadReturns reads the bank's return file: XLSX or CSV as ReadSheet does. A result that is neither 成功 nor 失败 is an error
// that names its row, before anything is taken.
func ReadReturns(b []byte) ([]loop.BankRow, error) {
	t, err := readNamed(b, loop.MaxPayments, func(heading string) string { return heading })
	if err != nil {
		return nil, err
	}
	if f := t.lacks("编号", "结果"); f != "" {
		return nil, bad("缺少“" + f + "”列,第一行应为列名:编号、结果、原因。")
	}
	rows := make([]loop.BankRow, len(t.rows))
	for i, r := range t.rows {
		rows[i] = loop.BankRow{Row: r.n, Aid: t.cell(r, "编号"), Reason: t.cell(r, "原因")}
		switch t.cell(r, "结果") {
		case "成功":
			rows[i].Paid = true
		case "失败":
		default:
			return nil, bad(fmt.Sprintf("第%d行的“结果”应填“成功”或“失败”,整个文件没有导入。", r.n))
		}
	}
	return rows, nil
}
