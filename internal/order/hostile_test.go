package order_test

import (
	"strings"

	"example.com/payment/internal/order"
)

type hostileCase struct {
	name, body string
	code       order.Code
	field      string
}

// hostile returns messages that Decode must refuse, with the reason it must give.
func hostile() []hostileCase {
	var all []hostileCase
	all = append(all, hostileBodies()...)
	all = append(all, hostileText()...)
	all = append(all, hostileFields()...)
	all = append(all, hostileAmounts()...)
	all = append(all, hostileValues()...)
	return all
}

func hostileBodies() []hostileCase {
	deep := strings.Repeat
	return []hostileCase{
		{"Empty", "", order.CodeEmpty, ""},
		{"OneSpace", " ", order.CodeNotObject, ""},
		{"OneBrace", "{", order.CodeBadJSON, ""},
		{"OneLetter", "x", order.CodeNotObject, ""},
		{"OneNUL", "\x00", order.CodeNotObject, ""},
		{"OneHighByte", "\xff", order.CodeBadUTF8, ""},
		{"OverTheLimit", golden + deep(" ", 64<<10), order.CodeTooLarge, ""},
		{"OverTheLimitAndNotUTF8", deep("\xff", 64<<10+1), order.CodeTooLarge, ""},
		{"Gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00", order.CodeBadUTF8, ""},
		{"EmptyObject", "{}", order.CodeMissing, "version"},
		{"Array", "[" + golden + "]", order.CodeNotObject, ""},
		{"Null", "null", order.CodeNotObject, ""},
		{"Text", `"` + deep("a", 10) + `"`, order.CodeNotObject, ""},
		{"Number", "1", order.CodeNotObject, ""},
		{"DepthJustOver", plus(`"a":` + deep("[", order.MaxDepth) + deep("]", order.MaxDepth)),
			order.CodeTooDeep, ""},
		{"DepthOfObjects", plus(deep(`"a":{`, order.MaxDepth) + deep("}", order.MaxDepth)),
			order.CodeTooDeep, ""},
		{"Depth20000", plus(`"a":` + deep("[", 20_000) + deep("]", 20_000)), order.CodeTooDeep, ""},
		{"Depth20000Open", `{"a":` + deep("[", 20_000), order.CodeTooDeep, ""},
		{"Depth8000Objects", deep(`{"a":`, 8_000), order.CodeTooDeep, ""},
		{"TwoObjects", golden + golden, order.CodeTrailing, ""},
		{"TwoLines", golden + "\n" + golden + "\n", order.CodeTrailing, ""},
		{"TrailingBrace", golden + "}", order.CodeTrailing, ""},
		{"TrailingNUL", golden + "\x00", order.CodeTrailing, ""},
		{"TrailingComma", golden + ",", order.CodeTrailing, ""},
		{"CommaBeforeBrace", strings.TrimSuffix(golden, "}") + ",}", order.CodeBadJSON, ""},
		{"NoComma", strings.Replace(golden, ",", " ", 1), order.CodeBadJSON, ""},
		{"NoColon", strings.Replace(golden, ":", " ", 1), order.CodeBadJSON, ""},
		{"TwoColons", strings.Replace(golden, ":", "::", 1), order.CodeBadJSON, ""},
		{"NoValue", with("1999", ""), order.CodeBadJSON, ""},
		{"NoName", plus(`1:1`), order.CodeBadJSON, ""},
		{"CutOff", golden[:len(golden)-1], order.CodeBadJSON, ""},
		{"CutOffInText", golden[:len(golden)-3], order.CodeBadJSON, ""},
		{"CutOffInEscape", golden[:len(golden)-3] + `\`, order.CodeBadJSON, ""},
		{"CutOffInLiteral", `{"a":tru`, order.CodeBadJSON, ""},
		{"ArrayCommaAtEnd", plus(`"a":[1,]`), order.CodeBadJSON, ""},
		{"ArrayClosedByBrace", plus(`"a":[1}`), order.CodeBadJSON, ""},
		{"ArrayWithoutComma", plus(`"a":[1 2]`), order.CodeBadJSON, ""},
		{"ArrayOnlyComma", plus(`"a":[,]`), order.CodeBadJSON, ""},
		{"Comment", golden[:1] + "/* */" + golden[1:], order.CodeBadJSON, ""},
		{"SingleQuotes", strings.ReplaceAll(golden, `"`, "'"), order.CodeBadJSON, ""},
		{"FormFeed", golden[:1] + "\f" + golden[1:], order.CodeBadJSON, ""},
		{"NoBreakSpace", golden[:1] + "\u00a0" + golden[1:], order.CodeBadJSON, ""},
	}
}

func hostileText() []hostileCase {
	return []hostileCase{
		{"BOM", "\uFEFF" + golden, order.CodeBadUTF8, ""},
		{"UTF16", "{\x00\"\x00", order.CodeBadJSON, ""},
		{"BadUTF8InValue", with("PAY_100", "PAY\xff100"), order.CodeBadUTF8, ""},
		{"BadUTF8InUnknown", plus("\"a\":\"\xc3\x28\""), order.CodeBadUTF8, ""},
		{"OverlongUTF8", plus("\"a\":\"\xc0\x80\""), order.CodeBadUTF8, ""},
		{"SurrogateInUTF8", plus("\"a\":\"\xed\xa0\x80\""), order.CodeBadUTF8, ""},
		{"NULInValue", with("PAY_100", "PAY\x00100"), order.CodeBadJSON, ""},
		{"NULBetween", strings.Replace(golden, ",", ",\x00", 1), order.CodeBadJSON, ""},
		{"NULEscaped", with("PAY_100", `PAY\u0000`), order.CodeID, "serial_no"},
		{"LineFeedInText", with("PAY_100", "PAY\n100"), order.CodeBadJSON, ""},
		{"TabInName", plus("\"a\tb\":1"), order.CodeBadJSON, ""},
		{"HighSurrogateAlone", plus(`"a":"\ud83d"`), order.CodeBadUTF8, ""},
		{"HighSurrogateBeforeText", plus(`"a":"\ud83dabcdef"`), order.CodeBadUTF8, ""},
		{"HighSurrogateTwice", plus(`"a":"\ud83d\ud83d"`), order.CodeBadUTF8, ""},
		{"LowSurrogateAlone", plus(`"a":"\ude00"`), order.CodeBadUTF8, ""},
		{"SurrogatesSwapped", plus(`"a":"\ude00\ud83d"`), order.CodeBadUTF8, ""},
		{"SurrogateInName", plus(`"\ud83d":1`), order.CodeBadUTF8, ""},
		{"UnknownEscape", plus(`"a":"\x41"`), order.CodeBadJSON, ""},
		{"QuoteEscape", plus(`"a":"\'"`), order.CodeBadJSON, ""},
		{"ShortUnicodeEscape", plus(`"a":"\u12"`), order.CodeBadJSON, ""},
		{"BadDigitInUnicodeEscape", plus(`"a":"\u00g0"`), order.CodeBadJSON, ""},
		{"BadCapitalInUnicodeEscape", plus(`"a":"\u00G0"`), order.CodeBadJSON, ""},
		{"SignInUnicodeEscape", plus(`"a":"\u+123"`), order.CodeBadJSON, ""},
		{"CapitalUnicodeEscape", plus(`"a":"\U0041"`), order.CodeBadJSON, ""},
		{"CapitalLiteral", plus(`"a":True`), order.CodeBadJSON, ""},
		{"LongLiteral", plus(`"a":nulll`), order.CodeBadJSON, ""},
		{"Undefined", plus(`"a":undefined`), order.CodeBadJSON, ""},
	}
}

func hostileFields() []hostileCase {
	all := []hostileCase{
		{"RepeatedAmount", plus(`"amount":1999`), order.CodeDuplicate, "amount"},
		{"RepeatedOtherAmount", plus(`"amount":1`), order.CodeDuplicate, "amount"},
		{"RepeatedEscaped", plus(`"\u0061mount":1`), order.CodeDuplicate, "amount"},
		{"RepeatedNull", plus(`"serial_no":null`), order.CodeDuplicate, "serial_no"},
		{"NullThenValue", `{"amount":null,` + golden[1:], order.CodeDuplicate, "amount"},
		{"CapitalsBeside", plus(`"AMOUNT":1`), order.CodeCase, "amount"},
		{"CapitalsFirst", `{"AMOUNT":1,` + golden[1:], order.CodeCase, "amount"},
		{"CapitalsInstead", with(`"amount"`, `"AMOUNT"`), order.CodeCase, "amount"},
		{"OneCapital", with(`"amount"`, `"aMount"`), order.CodeCase, "amount"},
		{"EscapedCapital", with(`"amount"`, `"\u0041mount"`), order.CodeCase, "amount"},
		{"LongS", with(`"serial_no"`, `"ſerial_no"`), order.CodeCase, "serial_no"},
		{"EscapedLongS", plus(`"ver\u017fion":1`), order.CodeCase, "version"},
		{"RepeatedUnknown", plus(`"a":1,"a":1`), order.CodeDuplicate, ""},
		{"RepeatedUnknownCase", plus(`"a":1,"A":1`), order.CodeDuplicate, ""},
		{"RepeatedUnknownEscaped", plus(`"a":1,"\u0061":1`), order.CodeDuplicate, ""},
		{"RepeatedUnknownKelvin", plus(`"k":1,"\u212a":1`), order.CodeDuplicate, ""},
		{"RepeatedUnknownGreek", plus(`"σ":1,"ς":1`), order.CodeDuplicate, ""},
		{"RepeatedEmptyName", plus(`"":1,"":1`), order.CodeDuplicate, ""},
		{"RepeatedNested", plus(`"x":{"a":1,"A":1}`), order.CodeDuplicate, ""},
		{"RepeatedNestedInArray", plus(`"x":[{"a":1,"b":2,"a":1}]`), order.CodeDuplicate, ""},
		{"RepeatedNestedKnown", plus(`"x":{"amount":1,"AMOUNT":1}`), order.CodeDuplicate, ""},
		{"MisspeltField", with(`"amount"`, `"amuont"`), order.CodeMissing, "amount"},
		{"SpaceInName", with(`"amount"`, `"amount "`), order.CodeMissing, "amount"},
		{"NestedInstead", `{"order":` + golden + `}`, order.CodeMissing, "version"},
	}
	for _, f := range []struct{ name, literal, field string }{
		{"Version", `"version":1`, "version"},
		{"OrderID", `"order_id":"ORDERID_100"`, "order_id"},
		{"Serial", `"serial_no":"PAY_100"`, "serial_no"},
		{"Payer", `"payer":"user-1"`, "payer"},
		{"Payee", `"payee":"shop-1"`, "payee"},
		{"Amount", `"amount":1999`, "amount"},
		{"Currency", `"currency":"CNY"`, "currency"},
	} {
		name := `"` + f.field + `":`
		all = append(all,
			hostileCase{"Missing" + f.name, with(f.literal, `"other":1`), order.CodeMissing, f.field},
			hostileCase{"Null" + f.name, with(f.literal, name+"null"), order.CodeNull, f.field},
			hostileCase{"Object" + f.name, with(f.literal, name+"{}"), order.CodeType, f.field},
			hostileCase{"Array" + f.name, with(f.literal, name+`["a"]`), order.CodeType, f.field},
			hostileCase{"Boolean" + f.name, with(f.literal, name+"true"), order.CodeType, f.field},
			hostileCase{"Twice" + f.name, plus(f.literal), order.CodeDuplicate, f.field},
			hostileCase{"Capitals" + f.name, with(name, strings.ToUpper(name)), order.CodeCase, f.field},
		)
	}
	return all
}

func hostileAmounts() []hostileCase {
	var all []hostileCase
	for _, c := range []struct {
		literal string
		code    order.Code
	}{
		{`-1`, order.CodeAmount},
		{`0`, order.CodeAmount},
		{`-0`, order.CodeAmount},
		{`0.0`, order.CodeAmount},
		{`1e3`, order.CodeAmount},
		{`1E3`, order.CodeAmount},
		{`1e-3`, order.CodeAmount},
		{`1.0`, order.CodeAmount},
		{`19.99`, order.CodeAmount},
		{`1e400`, order.CodeAmount},
		{`-9223372036854775809`, order.CodeAmount},
		{`1000000000001`, order.CodeAmountLimit},
		{`9007199254740993`, order.CodeAmountLimit},
		{`9223372036854775807`, order.CodeAmountLimit},
		{`9223372036854775808`, order.CodeAmountLimit},
		{`18446744073709551617`, order.CodeAmountLimit},
		{`36893488147419103233`, order.CodeAmountLimit},
		{"1" + strings.Repeat("0", 60_000), order.CodeAmountLimit},
		{`"1"`, order.CodeType},
		{`"1999"`, order.CodeType},
		{`""`, order.CodeType},
		{`NaN`, order.CodeBadJSON},
		{`Infinity`, order.CodeBadJSON},
		{`-`, order.CodeBadJSON},
		{`+1`, order.CodeBadJSON},
		{`01`, order.CodeBadJSON},
		{`-01`, order.CodeBadJSON},
		{`1.`, order.CodeBadJSON},
		{`.5`, order.CodeBadJSON},
		{`1e`, order.CodeBadJSON},
		{`1e+`, order.CodeBadJSON},
		{`1e+-1`, order.CodeBadJSON},
		{`0x10`, order.CodeBadJSON},
		{`1_000`, order.CodeBadJSON},
		{`1 000`, order.CodeBadJSON},
		{`1n`, order.CodeBadJSON},
		{`１`, order.CodeBadJSON},
	} {
		field := "amount"
		if c.code == order.CodeBadJSON {
			field = ""
		}
		name := "Amount " + c.literal[:min(len(c.literal), 24)]
		all = append(all, hostileCase{name, with("1999", c.literal), c.code, field})
	}
	return all
}

func hostileValues() []hostileCase {
	var all []hostileCase
	for _, version := range []string{"0", "2", "-1", "1.0", "1e0", "10", "99999999999999999999"} {
		all = append(all, hostileCase{
			"Version " + version, with(`"version":1`, `"version":`+version),
			order.CodeVersion, "version",
		})
	}
	// Under another version the fields may be of other types: the version is the reason.
	all = append(all, hostileCase{
		"NewerVersion", `{"amount":{"minor":"1999"},"order_id":7,"version":2}`,
		order.CodeVersion, "version",
	})
	for _, c := range []string{
		"", "cny", "Cny", "CN", "CNYY", "RMB", "XXX", "XTS", "XAU", "CLF", "BGN", " CNY", "СNY", "156",
	} {
		all = append(all, hostileCase{
			"Currency " + c, with(`"CNY"`, `"`+c+`"`), order.CodeCurrency, "currency",
		})
	}
	for _, id := range []string{
		"", " ", "PAY 100", "PAY_100 ", " PAY_100", "-PAY", "_PAY", ".PAY", ":PAY",
		strings.Repeat("a", 65), strings.Repeat("a", 60_000), // 64 are allowed
		"РAY_100", "PAY_１00", "PAY\u200b100", "PAY\u202e001", "PA\u0301Y", "支付",
		"1' OR '1'='1", `1\"; DROP TABLE payments; --`, "a%", "a*", "*", "{tag}", "a/b", "../a", "a,b",
		`a\r\nb`, `a\nlevel=error msg=forged`, `\u001b[2J`, "a`b",
		"$(id)", "${jndi:ldap://x}", "<b>", "a@b", "a#b",
	} {
		for _, f := range []struct{ literal, field string }{
			{`"PAY_100"`, "serial_no"},
			{`"ORDERID_100"`, "order_id"},
			{`"user-1"`, "payer"},
			{`"shop-1"`, "payee"},
		} {
			name := "ID " + f.field + " " + id[:min(len(id), 20)]
			all = append(all, hostileCase{name, with(f.literal, `"`+id+`"`), order.CodeID, f.field})
		}
	}
	return all
}
