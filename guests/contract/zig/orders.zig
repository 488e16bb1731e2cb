// The shop's rules in Zig.

const c = @import("bindings.zig");
const std = @import("std");

// Memory that is passed to the host is freed by the bindings, with C's `free`.
const allocator = std.heap.c_allocator;

fn slice(text: c.plugin_string_t) []const u8 {
    return if (text.len == 0) "" else text.ptr[0..text.len];
}

/// Copies a text for the host.
fn string(text: []const u8) c.plugin_string_t {
    const copy = allocator.dupe(u8, text) catch @panic("no memory");
    return .{ .ptr = copy.ptr, .len = copy.len };
}

export fn exports_plugin_reverse(data: *c.plugin_list_u8_t, ret: *c.plugin_list_u8_t, err: *c.plugin_string_t) bool {
    if (data.len == 0) {
        err.* = string("no bytes");
        return false;
    }
    std.mem.reverse(u8, data.ptr[0..data.len]);
    ret.* = data.*;
    return true;
}

export fn exports_demo_orders_orders_total(
    order: *c.exports_demo_orders_orders_order_t,
    bill: *c.exports_demo_orders_orders_bill_t,
    problem: *c.exports_demo_orders_orders_problem_t,
) bool {
    defer c.exports_demo_orders_orders_order_free(order);
    if (order.items.len == 0) {
        problem.tag = c.EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_EMPTY;
        return false;
    }
    const items = order.items.ptr[0..order.items.len];
    const lines = allocator.alloc(c.plugin_tuple2_string_u64_t, items.len) catch @panic("no memory");
    bill.* = .{ .lines = .{ .ptr = lines.ptr, .len = 0 }, .total = 0, .label = string("") };
    for (items, lines) |*item, *line| {
        if (item.quantity == 0 or item.quantity > 1000) {
            problem.tag = c.EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_QUANTITY;
            problem.val.quantity = item.quantity;
            c.exports_demo_orders_orders_bill_free(bill);
            return false;
        }
        var price: u64 = undefined;
        if (!c.demo_orders_shop_price(&item.product, &price)) {
            problem.tag = c.EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_UNKNOWN;
            problem.val.unknown = string(slice(item.product));
            c.exports_demo_orders_orders_bill_free(bill);
            return false;
        }
        line.* = .{ .f0 = string(slice(item.product)), .f1 = price * item.quantity };
        bill.lines.len += 1;
        bill.total += line.f1;
    }
    var text: [32]u8 = undefined;
    const message = std.fmt.bufPrint(&text, "{} lines", .{lines.len}) catch unreachable;
    var borrowed = c.plugin_string_t{ .ptr = message.ptr, .len = message.len };
    c.demo_orders_shop_log(c.DEMO_ORDERS_SHOP_LEVEL_INFO, &borrowed);
    switch (order.discount.tag) {
        c.EXPORTS_DEMO_ORDERS_ORDERS_DISCOUNT_PERCENT => {
            const percent: u64 = @min(order.discount.val.percent, 100);
            bill.total -= bill.total * percent / 100;
        },
        c.EXPORTS_DEMO_ORDERS_ORDERS_DISCOUNT_VOUCHER => {
            if (std.mem.eql(u8, slice(order.discount.val.voucher), "TEN")) bill.total -|= 1000;
        },
        else => {},
    }
    if (order.wishes & c.EXPORTS_DEMO_ORDERS_ORDERS_WISHES_EXPRESS != 0) bill.total += 500;
    const gift = order.wishes & c.EXPORTS_DEMO_ORDERS_ORDERS_WISHES_GIFT != 0;
    const label = std.mem.concat(allocator, u8, &.{
        slice(order.customer),
        if (order.note.is_some) ": " else "",
        if (order.note.is_some) slice(order.note.val) else "",
        if (gift) " (gift)" else "",
    }) catch @panic("no memory");
    bill.label = .{ .ptr = label.ptr, .len = label.len };
    return true;
}

export fn exports_demo_orders_orders_mean(samples: *c.plugin_list_f64_t, ret: *f64) bool {
    defer c.plugin_list_f64_free(samples);
    if (samples.len == 0) return false;
    var sum: f64 = 0;
    for (samples.ptr[0..samples.len]) |sample| sum += sample;
    ret.* = sum / @as(f64, @floatFromInt(samples.len));
    return true;
}

export fn exports_demo_orders_orders_echo(
    values: *c.exports_demo_orders_orders_everything_t,
    ret: *c.exports_demo_orders_orders_everything_t,
) void {
    ret.* = values.*;
}
