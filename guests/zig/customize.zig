// A plugin that logs, reads a setting, and answers; in the packed shape.

const hostel = @import("hostel.zig");
const std = @import("std");

comptime {
    hostel.exportAllocator();
}

export fn process(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(customize(ptr[0..size]));
}

fn customize(input: []const u8) ![]u8 {
    if (!std.unicode.utf8ValidateSlice(input)) return error.@"input is not UTF-8";
    var line: [32]u8 = undefined;
    hostel.log(try std.fmt.bufPrint(&line, "processing {} bytes", .{input.len}));
    const set = hostel.config("prefix");
    defer if (set) |value| hostel.allocator.free(value);
    const prefix = set orelse "DEFAULT_PREFIX";
    const output = try hostel.allocator.alloc(u8, prefix.len + 1 + input.len);
    @memcpy(output[0..prefix.len], prefix);
    output[prefix.len] = '_';
    for (output[prefix.len + 1 ..], input) |*to, from| to.* = std.ascii.toUpper(from);
    return output;
}
