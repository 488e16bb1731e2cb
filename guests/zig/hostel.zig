//! Write plugins in Zig for the hostel host. Build them with
//!
//!     zig build-exe -target wasm32-freestanding -O ReleaseSmall -fno-entry -rdynamic --stack 65536 plugin.zig
//!
//! Declare a function of your own host in one line. Text is a pointer and a size; a result that is text, bytes or an
//! optional number is u64, which `optionalBytes` and `optionalNumber` read:
//!
//!     extern "shop" fn price(article: [*]const u8, size: u32) u64;

const std = @import("std");

pub const allocator = std.heap.wasm_allocator;

/// Exports what the host allocates with. Use it once, in a `comptime` block.
pub fn exportAllocator() void {
    @export(&allocate, .{ .name = "allocate" });
    @export(&deallocate, .{ .name = "deallocate" });
}

/// What an allocation of no bytes is: not null, and nothing to read or write.
var nothing: [1]u8 = undefined;

fn allocate(size: u32) callconv(.c) ?[*]u8 {
    if (size == 0) return &nothing;
    const bytes = allocator.alloc(u8, size) catch return null;
    return bytes.ptr;
}

fn deallocate(ptr: [*]u8, size: u32) callconv(.c) void {
    if (size > 0) allocator.free(ptr[0..size]);
}

// ---- Answers and errors ----

/// An exported function's result: bytes from `allocator`, which the host frees, or an error. The error's message is
/// that of `fail`, or else its name.
pub fn answer(result: anyerror![]u8) u64 {
    if (result) |bytes| {
        return pack(bytes, 0);
    } else |err| {
        const failed = if (err == error.Failed) message orelse @errorName(err) else @errorName(err);
        message = null;
        const copy = allocator.dupe(u8, failed) catch return 1 << 31;
        return pack(copy, 1 << 31);
    }
}

/// The message of the error that `fail` returned last. Never freed: a failure is rare, and an instance short-lived.
var message: ?[]const u8 = null;

/// Returns an error with a message: `return hostel.fail("`{s}` is no number", .{text});`
pub fn fail(comptime format: []const u8, arguments: anytype) error{ Failed, OutOfMemory } {
    message = std.fmt.allocPrint(allocator, format, arguments) catch return error.OutOfMemory;
    return error.Failed;
}

fn pack(bytes: []const u8, bit: u64) u64 {
    const ptr = if (bytes.len > 0) bytes.ptr else &nothing;
    return @as(u64, @intFromPtr(ptr)) << 32 | bytes.len | bit;
}

/// Checks that the input is text.
pub fn text(input: []const u8) ![]const u8 {
    if (!std.unicode.utf8ValidateSlice(input)) return fail("input is not UTF-8", .{});
    return input;
}

/// Reads the input as JSON of the type `T`. The value is on the heap until the instance ends.
pub fn fromJson(comptime T: type, input: []const u8) !T {
    return std.json.parseFromSliceLeaky(T, allocator, input, .{ .ignore_unknown_fields = true }) catch |err|
        return fail("input is not the expected JSON: {s}", .{@errorName(err)});
}

/// Writes a value as JSON.
pub fn toJson(value: anytype) ![]u8 {
    return std.json.Stringify.valueAlloc(allocator, value, .{});
}

/// Reads text or bytes that a host function returned, if there are any. They are from `allocator`.
pub fn optionalBytes(packed_value: u64) ?[]u8 {
    const ptr: ?[*]u8 = @ptrFromInt(@as(u32, @truncate(packed_value >> 32)));
    return (ptr orelse return null)[0..@as(u32, @truncate(packed_value))];
}

/// Reads an optional number of 32 bits that a host function returned.
pub fn optionalNumber(packed_value: u64) ?u32 {
    return if (packed_value >> 32 != 0) @truncate(packed_value) else null;
}

/// Reads bytes, nothing, or an error of the host's, whose message begins with a code.
fn received(packed_value: u64) !?[]u8 {
    if (packed_value & 1 << 31 == 0) return optionalBytes(packed_value);
    const bytes = optionalBytes(packed_value ^ 1 << 31) orelse return fail("an error of the host", .{});
    defer allocator.free(bytes);
    return fail("{s}", .{bytes});
}

// ---- The log and settings ----

extern "env" fn host_log(ptr: [*]const u8, size: u32) void;
extern "env" fn host_log_at(level: u32, ptr: [*]const u8, size: u32) void;
extern "env" fn host_get_config(ptr: [*]const u8, size: u32) u64;

/// Writes one record to the plugin's log.
pub fn log(line: []const u8) void {
    host_log(line.ptr, line.len);
}

/// How important a record is, from least to most. `log` writes at `info`.
pub const Level = enum(u32) { trace, debug, info, warn, err };

/// Writes one record to the plugin's log, at a level.
pub fn logAt(level: Level, line: []const u8) void {
    host_log_at(@intFromEnum(level), line.ptr, line.len);
}

/// Has panics write their text to the log, before they trap. In the plugin's file:
///
///     pub const panic = hostel.panic;
pub const panic = std.debug.FullPanic(panicked);

fn panicked(line: []const u8, _: ?usize) noreturn {
    logAt(.err, line);
    @trap();
}

/// The value of a setting, if it is set. It is from `allocator`, and the plugin's to free.
pub fn config(key: []const u8) ?[]u8 {
    return optionalBytes(host_get_config(key.ptr, key.len));
}

// ---- State ----

/// Values that the host keeps for the plugin, beyond the call. Keys and values are any bytes. What is returned is from
/// `allocator`, and the plugin's to free.
pub const state = struct {
    extern "env" fn host_state_get(key: [*]const u8, size: u32) u64;
    extern "env" fn host_state_set(key: [*]const u8, size: u32, value: [*]const u8, value_size: u32) u64;
    extern "env" fn host_state_delete(key: [*]const u8, size: u32) u64;
    extern "env" fn host_state_list(prefix: [*]const u8, size: u32, after: ?[*]const u8, after_size: u32, max: u32) u64;

    /// The value of a key, if it has one.
    pub fn get(key: []const u8) !?[]u8 {
        return received(host_state_get(key.ptr, key.len));
    }

    /// Sets the value of a key.
    pub fn set(key: []const u8, value: []const u8) !void {
        _ = try received(host_state_set(key.ptr, key.len, value.ptr, value.len));
    }

    /// Removes a key. Succeeds if there was none.
    pub fn delete(key: []const u8) !void {
        _ = try received(host_state_delete(key.ptr, key.len));
    }

    /// All keys that begin with the prefix, in the order of their bytes. They are parts of buffers from `allocator`.
    pub fn list(prefix: []const u8) ![]const []const u8 {
        var keys: std.ArrayList([]const u8) = .empty;
        var after: ?[]const u8 = null;
        while (true) {
            const ptr = if (after) |key| key.ptr else null;
            const size = if (after) |key| key.len else 0;
            const packed_page = host_state_list(prefix.ptr, prefix.len, ptr, size, std.math.maxInt(u32));
            var page: []const u8 = try received(packed_page) orelse return keys.items;
            if (page.len < 4) return keys.items;
            while (page.len >= 4) {
                const end = 4 + std.mem.readInt(u32, page[0..4], .little);
                after = page[4..end];
                try keys.append(allocator, page[4..end]);
                page = page[end..];
            }
        }
    }
};

// ---- HTTP ----

/// A header's name and value.
pub const Header = struct { name: []const u8, value: []const u8 };

/// An HTTP request, which the host sends if it grants the server.
pub const Request = struct {
    method: []const u8 = "GET",
    url: []const u8,
    headers: []const Header = &.{},
    body: []const u8 = "",
};

/// The response to a request.
pub const Response = struct {
    status: u16,
    /// Lines of a name, a colon, a space and a value.
    head: []const u8,
    body: []const u8,

    /// The first value of a header.
    pub fn header(self: Response, name: []const u8) ?[]const u8 {
        var lines = std.mem.splitScalar(u8, self.head, '\n');
        while (lines.next()) |line| {
            const colon = std.mem.indexOf(u8, line, ": ") orelse continue;
            if (std.ascii.eqlIgnoreCase(line[0..colon], name)) return line[colon + 2 ..];
        }
        return null;
    }
};

extern "env" fn host_http_request(request: [*]const u8, size: u32) u64;

/// Sends a request, and waits for the response, which is on the heap. A status of 400 or more is no error.
pub fn fetch(request: Request) !Response {
    var lines: std.ArrayList(u8) = .empty;
    defer lines.deinit(allocator);
    for ([_][]const u8{ request.method, " ", request.url }) |part| try append(&lines, part);
    for (request.headers) |header| {
        try lines.append(allocator, '\n');
        for ([_][]const u8{ header.name, ": ", header.value }) |part| try append(&lines, part);
    }
    try lines.appendSlice(allocator, "\n\n");
    try lines.appendSlice(allocator, request.body);
    const bytes = try received(host_http_request(lines.items.ptr, lines.items.len)) orelse "";
    const end = std.mem.indexOf(u8, bytes, "\n\n") orelse return fail("the host's response is malformed", .{});
    const first = std.mem.indexOfScalar(u8, bytes, '\n').?;
    return .{
        .status = std.fmt.parseInt(u16, bytes[0..first], 10) catch 0,
        .head = bytes[@min(first + 1, end)..end],
        .body = bytes[end + 2 ..],
    };
}

/// Appends a part of a line. A line end in it would begin another line of the request.
fn append(lines: *std.ArrayList(u8), part: []const u8) !void {
    if (std.mem.indexOfScalar(u8, part, '\n') != null)
        return fail("http-invalid: the request has a line end before its body", .{});
    try lines.appendSlice(allocator, part);
}
