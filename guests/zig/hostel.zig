//! What plugins in Zig for the hostel host share: the allocator, answers, and what the host grants. Build them with
//!
//!     zig build-exe -target wasm32-freestanding -O ReleaseSmall -fno-entry -rdynamic plugin.zig

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

/// An exported function's result: bytes from `allocator`, which the host frees, or the name of an error.
pub fn answer(result: anyerror![]u8) u64 {
    if (result) |bytes| {
        return pack(bytes, 0);
    } else |err| {
        const message = allocator.dupe(u8, @errorName(err)) catch return 1 << 31;
        return pack(message, 1 << 31);
    }
}

fn pack(bytes: []const u8, bit: u64) u64 {
    const ptr = if (bytes.len > 0) bytes.ptr else &nothing;
    return @as(u64, @intFromPtr(ptr)) << 32 | bytes.len | bit;
}

extern "env" fn host_log(ptr: [*]const u8, size: u32) void;
extern "env" fn host_log_at(level: u32, ptr: [*]const u8, size: u32) void;
extern "env" fn host_get_config(ptr: [*]const u8, size: u32) u64;

/// Writes one record to the plugin's log.
pub fn log(text: []const u8) void {
    host_log(text.ptr, text.len);
}

/// How important a record is, from least to most. `log` writes at `info`.
pub const Level = enum(u32) { trace, debug, info, warn, err };

/// Writes one record to the plugin's log, at a level.
pub fn logAt(level: Level, text: []const u8) void {
    host_log_at(@intFromEnum(level), text.ptr, text.len);
}

/// The value of a setting, if it is set. It is from `allocator`, and the plugin's to free.
pub fn config(key: []const u8) ?[]u8 {
    const packed_value = host_get_config(key.ptr, key.len);
    const ptr: ?[*]u8 = @ptrFromInt(@as(u32, @truncate(packed_value >> 32)));
    return (ptr orelse return null)[0..@as(u32, @truncate(packed_value))];
}
