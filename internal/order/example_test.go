package order_test

import (
	"errors"
	"fmt"

	"example.com/payment/internal/order"
)

func ExampleDecode() {
	limits := order.DefaultLimits()
	body := []byte(`{"version":1,"order_id":"ORDERID_100","serial_no":"PAY_100",
		"payer":"user-1","payee":"shop-1","amount":1999,"currency":"CNY","note":"ignored"}`)

	o, err := order.Decode("ORDERID_100", body, limits)
	fmt.Println(o.Serial, o.Payer, "pays", o.Payee, o.Amount, err)

	_, err = order.Decode("ORDERID_100", []byte(`{"version":1,"AMOUNT":1}`), limits)
	fmt.Println(err)

	var invalid *order.InvalidError
	if errors.As(err, &invalid) {
		fmt.Println("quarantined as", invalid.Code)
	}

	// Output:
	// PAY_100 user-1 pays shop-1 19.99 CNY <nil>
	// field_case: amount: must be written in lower case
	// quarantined as field_case
}

func ExampleParseMoney() {
	for _, amount := range []struct {
		decimal  string
		currency order.Currency
	}{
		{"19.9", "CNY"}, {"1999", "JPY"}, {"1.999", "KWD"}, {"19.999", "CNY"}, {"-5", "CNY"},
	} {
		m, err := order.ParseMoney(amount.decimal, amount.currency)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(m, "is", m.Minor, "minor units")
	}

	// Output:
	// 19.90 CNY is 1990 minor units
	// 1999 JPY is 1999 minor units
	// 1.999 KWD is 1999 minor units
	// bad_amount: amount: CNY has 2 digits after the point, not more
	// bad_amount: amount: must be written in digits, such as 19.99
}
