//! The shop's rules in Zig. What C declares comes from `plugin_h.zig`, which `zig translate-c` makes of `plugin.h`.

const std = @import("std");
const c = @import("plugin_h.zig");

const allocator = std.heap.c_allocator;
const String = c.plugin_string_t;
const Order = c.exports_demo_orders_orders_order_t;
const Bill = c.exports_demo_orders_orders_bill_t;
const Item = c.exports_demo_orders_orders_item_t;
const Line = c.plugin_tuple2_string_u64_t;
const Problem = c.exports_demo_orders_orders_problem_t;
const Everything = c.exports_demo_orders_orders_everything_t;

fn text(string: String) []const u8 {
    return if (string.len == 0) "" else string.ptr[0..string.len];
}

/// Copies a text: the bindings free each string by itself.
fn owned(bytes: []const u8) !String {
    const copy = try allocator.dupe(u8, bytes);
    return .{ .ptr = copy.ptr, .len = copy.len };
}

export fn exports_plugin_reverse(data: *c.plugin_list_u8_t, ret: *c.plugin_list_u8_t, err: *String) bool {
    if (data.len == 0) {
        err.* = owned("no bytes") catch @trap();
        return false;
    }
    std.mem.reverse(u8, data.ptr[0..data.len]);
    ret.* = data.*;
    return true;
}

export fn exports_demo_orders_orders_total(order: *Order, bill: *Bill, problem: *Problem) bool {
    defer c.exports_demo_orders_orders_order_free(order);
    const refused = total(order, bill) catch @trap();
    problem.* = refused orelse return true;
    return false;
}

/// Writes a bill, or returns why the order is refused.
fn total(order: *const Order, bill: *Bill) !?Problem {
    if (order.items.len == 0) return .{ .tag = c.EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_EMPTY };
    const lines = try allocator.alloc(Line, order.items.len);
    bill.* = .{ .lines = .{ .ptr = lines.ptr, .len = 0 } };
    for (order.items.ptr[0..order.items.len]) |*item| {
        const line = &lines[bill.lines.len];
        if (try priced(item, line)) |problem| {
            c.exports_demo_orders_orders_bill_free(bill);
            return problem;
        }
        bill.lines.len += 1;
        bill.total += line.f1;
    }
    var buffer: [32]u8 = undefined;
    const message = try std.fmt.bufPrint(&buffer, "{d} lines", .{lines.len});
    var log: String = .{ .ptr = message.ptr, .len = message.len };
    c.demo_orders_shop_log(c.DEMO_ORDERS_SHOP_LEVEL_INFO, &log);
    switch (order.discount.tag) {
        c.EXPORTS_DEMO_ORDERS_ORDERS_DISCOUNT_PERCENT => {
            bill.total -= bill.total * @min(order.discount.val.percent, 100) / 100;
        },
        c.EXPORTS_DEMO_ORDERS_ORDERS_DISCOUNT_VOUCHER => {
            if (std.mem.eql(u8, text(order.discount.val.voucher), "TEN")) bill.total -|= 1000;
        },
        else => {},
    }
    if (order.wishes & c.EXPORTS_DEMO_ORDERS_ORDERS_WISHES_EXPRESS != 0) bill.total += 500;
    const note = if (order.note.is_some) text(order.note.val) else "";
    const gift = order.wishes & c.EXPORTS_DEMO_ORDERS_ORDERS_WISHES_GIFT != 0;
    const parts = [_][]const u8{
        text(order.customer), if (order.note.is_some) ": " else "", note, if (gift) " (gift)" else "",
    };
    const label = try std.mem.concat(allocator, u8, &parts);
    bill.label = .{ .ptr = label.ptr, .len = label.len };
    return null;
}

/// Writes the line of an item, or returns why the item is refused.
fn priced(item: *Item, line: *Line) !?Problem {
    if (item.quantity == 0 or item.quantity > 1000) {
        return .{ .tag = c.EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_QUANTITY, .val = .{ .quantity = item.quantity } };
    }
    var price: u64 = 0;
    if (!c.demo_orders_shop_price(&item.product, &price)) {
        return .{
            .tag = c.EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_UNKNOWN,
            .val = .{ .unknown = try owned(text(item.product)) },
        };
    }
    line.* = .{ .f0 = try owned(text(item.product)), .f1 = price * item.quantity };
    return null;
}

export fn exports_demo_orders_orders_mean(samples: *c.plugin_list_f64_t, ret: *f64) bool {
    defer c.plugin_list_f64_free(samples);
    if (samples.len == 0) return false;
    var sum: f64 = 0;
    for (samples.ptr[0..samples.len]) |sample| sum += sample;
    ret.* = sum / @as(f64, @floatFromInt(samples.len));
    return true;
}

export fn exports_demo_orders_orders_echo(values: *Everything, ret: *Everything) void {
    ret.* = values.*;
}
