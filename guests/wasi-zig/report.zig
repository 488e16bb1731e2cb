// A WASI command: reports what it was given, and ends as its last argument says.

const std = @import("std");
const Io = std.Io;

pub fn main(init: std.process.Init) !void {
    const io = init.io;
    const gpa = init.arena.allocator();
    var buffer: [512]u8 = undefined;
    var stdout = Io.File.stdout().writerStreaming(io, &buffer);
    const out = &stdout.interface;

    const args = try init.minimal.args.toSlice(gpa);
    for (args) |arg| try out.print("arg {s}\n", .{arg});
    var variables = init.environ_map.iterator();
    while (variables.next()) |variable| {
        try out.print("env {s}={s}\n", .{ variable.key_ptr.*, variable.value_ptr.* });
    }
    var stdin = Io.File.stdin().readerStreaming(io, &.{});
    _ = try stdin.interface.streamRemaining(out);
    try out.flush();

    const last = if (args.len > 0) args[args.len - 1] else "";
    if (std.mem.eql(u8, last, "panic")) {
        @panic("as asked");
    } else if (std.mem.eql(u8, last, "random")) {
        var random: [8]u8 = undefined;
        try io.randomSecure(&random);
        try out.print("random {x}\n", .{random});
    } else if (std.mem.eql(u8, last, "time")) {
        const start = Io.Clock.awake.now(io);
        try io.sleep(.fromMilliseconds(2), .awake);
        const slept = start.durationTo(Io.Clock.awake.now(io));
        try out.print("slept {}\n", .{slept.toMilliseconds() >= 2});
        try out.print("since 1970 {}\n", .{Io.Clock.real.now(io).toSeconds() > 0});
    } else if (std.mem.eql(u8, last, "files")) {
        const granted = init.preopens.get("/data") orelse {
            std.debug.print("files: no /data\n", .{});
            std.process.exit(1);
        };
        try files(io, gpa, out, granted.dir);
    } else {
        std.process.exit(std.fmt.parseInt(u8, last, 10) catch 0);
    }
    try out.flush();
}

/// Does with files what programs do, and says what came of it.
fn files(io: Io, gpa: std.mem.Allocator, out: *Io.Writer, folder: Io.Dir) !void {
    const size = (try folder.statFile(io, "input", .{})).size;
    const input = try folder.readFileAlloc(io, "input", gpa, .unlimited);
    try out.print("input {} bytes: {s}\n", .{ size, input });
    try list(io, gpa, out, "list", folder);
    const outside = folder.readFileAlloc(io, "../outside", gpa, .unlimited) catch "refused";
    try out.print("outside {s}\n", .{outside});

    try folder.writeFile(io, .{ .sub_path = "output", .data = "first\n" });
    var file = try folder.openFile(io, "output", .{ .mode = .read_write });
    try file.writePositionalAll(io, "second\n", try file.length(io));
    var rest: [64]u8 = undefined;
    const read = try file.readPositionalAll(io, &rest, 6);
    try out.print("output {} bytes, then {s}", .{ try file.length(io), rest[0..read] });
    file.close(io);

    try folder.createDir(io, "made", .default_dir);
    var made = try folder.openDir(io, "made", .{ .iterate = true });
    try folder.rename("output", made, "moved", io);
    try list(io, gpa, out, "made", made);
    const moved = try made.readFileAlloc(io, "moved", gpa, .unlimited);
    try folder.writeFile(io, .{ .sub_path = "output", .data = moved });
    try made.deleteFile(io, "moved");
    made.close(io);
    try folder.deleteDir(io, "made");
    try list(io, gpa, out, "list", folder);
}

/// Prints a label and the names in a directory, in order, those of directories with a slash.
fn list(io: Io, gpa: std.mem.Allocator, out: *Io.Writer, label: []const u8, folder: Io.Dir) !void {
    var names: std.ArrayList([]const u8) = .empty;
    var entries = folder.iterate();
    while (try entries.next(io)) |entry| {
        const slash = if (entry.kind == .directory) "/" else "";
        try names.append(gpa, try std.mem.concat(gpa, u8, &.{ entry.name, slash }));
    }
    std.mem.sort([]const u8, names.items, {}, before);
    try out.print("{s}", .{label});
    for (names.items) |name| try out.print(" {s}", .{name});
    try out.print("\n", .{});
}

fn before(_: void, a: []const u8, b: []const u8) bool {
    return std.mem.lessThan(u8, a, b);
}
