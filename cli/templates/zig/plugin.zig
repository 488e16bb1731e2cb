//! Greets people: with the setting `greeting` = `Salut`, "Ann" becomes "Salut, Ann!".

const hostel = @import("hostel.zig");
const std = @import("std");

/// Writes the text of a panic to the log.
pub const panic = hostel.panic;

comptime {
    hostel.exportAllocator();
}

export fn process(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(greet(ptr[0..size]));
}

fn greet(input: []const u8) ![]u8 {
    const name = try hostel.text(input);
    if (name.len == 0) return hostel.fail("the name is empty", .{});
    const line = try std.mem.concat(hostel.allocator, u8, &.{ "greeting ", name });
    defer hostel.allocator.free(line);
    hostel.log(line);
    const set = hostel.config("greeting");
    defer if (set) |value| hostel.allocator.free(value);
    return std.mem.concat(hostel.allocator, u8, &.{ set orelse "Hello", ", ", name, "!" });
}
