//! Greets people: with the setting `greeting` = `Salut`, "Ann" becomes "Salut, Ann!".

const hostel = @import("hostel.zig");
const std = @import("std");

comptime {
    hostel.exportAllocator();
}

export fn process(ptr: [*]const u8, size: u32) u64 {
    return hostel.answer(greet(ptr[0..size]));
}

fn greet(name: []const u8) ![]u8 {
    if (!std.unicode.utf8ValidateSlice(name)) return error.@"the name is not UTF-8";
    if (name.len == 0) return error.@"the name is empty";
    const line = try std.mem.concat(hostel.allocator, u8, &.{ "greeting ", name });
    defer hostel.allocator.free(line);
    hostel.log(line);
    const set = hostel.config("greeting");
    defer if (set) |value| hostel.allocator.free(value);
    return std.mem.concat(hostel.allocator, u8, &.{ set orelse "Hello", ", ", name, "!" });
}
