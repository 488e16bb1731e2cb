// The shop's rules in AssemblyScript.

import { Option, Result, Tuple2, err, none, ok, orders, shop, some } from "./plugin_bindings";

export function reverse(data: Uint8Array): Result<Uint8Array, string> {
  if (data.length == 0) return err<Uint8Array, string>("no bytes");
  data.reverse();
  return ok<Uint8Array, string>(data);
}

export function ordersTotal(order: orders.Order): Result<orders.Bill, orders.Problem> {
  if (order.items.length == 0) return refused(orders.Problem.empty());
  const lines = new Array<Tuple2<string, u64>>();
  let total: u64 = 0;
  for (let i = 0; i < order.items.length; ++i) {
    const item = order.items[i];
    if (item.quantity == 0 || item.quantity > 1000) return refused(orders.Problem.quantity(item.quantity));
    const price = shop.price(item.product);
    if (!price.isSome) return refused(orders.Problem.unknown(item.product));
    const cents = price.value * item.quantity;
    total += cents;
    lines.push(new Tuple2(item.product, cents));
  }
  shop.log(shop.Level.info, lines.length.toString() + " lines");
  const discount = order.discount;
  if (discount.tag == orders.DiscountTag.percent) {
    total -= (total * min<u64>(discount.asPercent, 100)) / 100;
  } else if (discount.tag == orders.DiscountTag.voucher && discount.asVoucher == "TEN") {
    total -= min<u64>(total, 1000);
  }
  if (order.wishes & orders.Wishes.express) total += 500;
  let label = order.customer;
  if (order.note.isSome) label += ": " + order.note.value;
  if (order.wishes & orders.Wishes.gift) label += " (gift)";
  return ok<orders.Bill, orders.Problem>(new orders.Bill(lines, total, label));
}

function refused(problem: orders.Problem): Result<orders.Bill, orders.Problem> {
  return err<orders.Bill, orders.Problem>(problem);
}

export function ordersMean(samples: Array<f64>): Option<f64> {
  if (samples.length == 0) return none<f64>();
  let sum: f64 = 0;
  for (let i = 0; i < samples.length; ++i) sum += samples[i];
  return some<f64>(sum / samples.length);
}

export function ordersEcho(values: orders.Everything): orders.Everything {
  return values;
}
