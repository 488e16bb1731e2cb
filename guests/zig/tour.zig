//! Each feature of hostel.zig, in one plugin. `guests/tour/tests.toml` says what the functions do.

const hostel = @import("hostel.zig");
const std = @import("std");

pub const panic = hostel.panic;

comptime {
    hostel.exportAllocator();
}

const gpa = hostel.allocator;

extern "shop" fn price(article: [*]const u8, size: u32) u64;

export fn bytes(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(reversed(ptr[0..size]));
}

fn reversed(input: []const u8) ![]u8 {
    const output = try gpa.dupe(u8, input);
    std.mem.reverse(u8, output);
    return output;
}

export fn text(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(upper(ptr[0..size]));
}

fn upper(input: []const u8) ![]u8 {
    return std.ascii.allocUpperString(gpa, try hostel.text(input));
}

const Order = struct { article: []const u8, count: u32 };

export fn json(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(bill(ptr[0..size]));
}

fn bill(input: []const u8) ![]u8 {
    const order = try hostel.fromJson(Order, input);
    const total = order.count * 1999;
    return hostel.toJson(.{ .article = order.article, .count = order.count, .total = total });
}

export fn fail(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(number(ptr[0..size]));
}

fn number(input: []const u8) ![]u8 {
    const parsed = std.fmt.parseInt(u32, input, 10) catch return hostel.fail("`{s}` is no number", .{input});
    return std.fmt.allocPrint(gpa, "{}", .{parsed});
}

export fn setting(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(hostel.config(ptr[0..size]) orelse gpa.dupe(u8, "unset"));
}

export fn levels(ptr: [*]const u8, size: u32) u64 {
    for (std.enums.values(hostel.Level)) |level| hostel.logAt(level, ptr[0..size]);
    return hostel.answer(&.{});
}

export fn count(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(counted(ptr[0..size]));
}

fn counted(key: []const u8) ![]u8 {
    const before = if (try hostel.state.get(key)) |value| try std.fmt.parseInt(u32, value, 10) else 0;
    const value = try std.fmt.allocPrint(gpa, "{}", .{before + 1});
    try hostel.state.set(key, value);
    return value;
}

export fn keys(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(joined(ptr[0..size]));
}

fn joined(prefix: []const u8) ![]u8 {
    return std.mem.join(gpa, ",", try hostel.state.list(prefix));
}

export fn forget(ptr: [*]const u8, size: u32) u64 {
    hostel.state.delete(ptr[0..size]) catch |err| return hostel.answer(err);
    return hostel.answer(&.{});
}

export fn fetch(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(fetched(ptr[0..size]));
}

fn fetched(url: []const u8) ![]u8 {
    const headers = [_]hostel.Header{.{ .name = "accept", .value = "text/plain" }};
    const response = try hostel.fetch(.{ .url = url, .headers = &headers });
    const kind = response.header("Content-Type") orelse "none";
    return std.fmt.allocPrint(gpa, "{} {s} {s}", .{ response.status, kind, response.body });
}

export fn buy(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(bought(ptr[0..size]));
}

fn bought(article: []const u8) ![]u8 {
    const cents = hostel.optionalNumber(price(article.ptr, article.len)) orelse
        return hostel.fail("there is no such article", .{});
    return std.fmt.allocPrint(gpa, "{}", .{cents});
}

export fn crash(ptr: [*]const u8, size: u32) u64 {
    std.debug.panic("the input is {s}", .{ptr[0..size]});
}
