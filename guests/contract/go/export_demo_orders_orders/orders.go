// Package export_demo_orders_orders is the shop's rules in Go. The bindings name it so.
package export_demo_orders_orders

import (
	"fmt"

	wit "go.bytecodealliance.org/pkg/wit/types"

	types "wit_component/demo_orders_orders"
	shop "wit_component/demo_orders_shop"
)

func Total(order types.Order) wit.Result[types.Bill, types.Problem] {
	refused := wit.Err[types.Bill, types.Problem]
	if len(order.Items) == 0 {
		return refused(types.MakeProblemEmpty())
	}
	var bill types.Bill
	for _, item := range order.Items {
		if item.Quantity == 0 || item.Quantity > 1000 {
			return refused(types.MakeProblemQuantity(item.Quantity))
		}
		price := shop.Price(item.Product)
		if price.IsNone() {
			return refused(types.MakeProblemUnknown(item.Product))
		}
		cents := price.Some() * uint64(item.Quantity)
		bill.Total += cents
		bill.Lines = append(bill.Lines, wit.Tuple2[string, uint64]{F0: item.Product, F1: cents})
	}
	shop.Log(shop.Level_Info, fmt.Sprintf("%d lines", len(bill.Lines)))
	switch order.Discount.Tag() {
	case types.Discount_Percent:
		bill.Total -= bill.Total * uint64(min(order.Discount.Percent(), 100)) / 100
	case types.Discount_Voucher:
		if order.Discount.Voucher() == "TEN" {
			bill.Total -= min(bill.Total, 1000)
		}
	}
	if order.Wishes&types.Wishes_Express != 0 {
		bill.Total += 500
	}
	bill.Label = order.Customer
	if order.Note.IsSome() {
		bill.Label += ": " + order.Note.Some()
	}
	if order.Wishes&types.Wishes_Gift != 0 {
		bill.Label += " (gift)"
	}
	return wit.Ok[types.Bill, types.Problem](bill)
}

func Mean(samples []float64) wit.Option[float64] {
	if len(samples) == 0 {
		return wit.None[float64]()
	}
	sum := 0.0
	for _, sample := range samples {
		sum += sample
	}
	return wit.Some(sum / float64(len(samples)))
}

// The bindings want the values of a tuple one by one.
func Echo(values types.Everything) (bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64, rune,
	string, []uint16, wit.Option[bool], wit.Result[int64, float32]) {
	return values.F0, values.F1, values.F2, values.F3, values.F4, values.F5, values.F6, values.F7, values.F8, values.F9,
		values.F10, values.F11, values.F12, values.F13, values.F14, values.F15
}
