//! Reading, writing, seeking and truncating the contents of files.

use super::super::{
    EBADF, EINVAL, SUCCESS,
    tree::{
        ALL, APPEND, CREATE, DATA, FILESTAT, READ, READDIR, RESULT, ROOT, SEEK, TELL, TRUNCATE,
        WRITE,
    },
};
use super::{make_file, with};

#[test]
fn fd_filestat_set() {
    with(|guest| {
        let fd = guest.create("file");
        assert_eq!(guest.stat(fd).size, 0);
        assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 100]), SUCCESS);
        let old = guest.stat(fd);
        let modified = old.times[1] - 100;
        let args = [fd, modified, modified, 4];
        assert_eq!(guest.errno("fd_filestat_set_times", &args), SUCCESS);
        let new = guest.stat(fd);
        assert_eq!((new.size, new.times[0]), (100, old.times[0]));
        assert_eq!(new.times[1], modified);
    });
}

#[test]
fn file_pread_pwrite() {
    with(|guest| {
        let fd = guest.create("file");
        guest.put(DATA, &[0, 1, 2, 3]);
        guest.buffers(0, &[(DATA, 4)]);
        assert_eq!(guest.errno("fd_pwrite", &[fd, 0, 1, 0, RESULT]), SUCCESS);
        assert_eq!(guest.errno("fd_pread", &[fd, 0, 1, 0, RESULT]), SUCCESS);
        assert_eq!(
            (guest.u32(RESULT), guest.get(DATA, 4)),
            (4, vec![0, 1, 2, 3])
        );
        // In two buffers, from an offset, over the end.
        guest.buffers(0, &[(DATA, 2), (DATA + 50, 2)]);
        assert_eq!(guest.errno("fd_pread", &[fd, 0, 2, 1, RESULT]), SUCCESS);
        assert_eq!(guest.u32(RESULT), 3);
        assert_eq!(
            (guest.get(DATA, 2), guest.get(DATA + 50, 1)),
            (vec![1, 2], vec![3])
        );
        assert_eq!(guest.seek(fd, 0, 1), Ok(0));
    });
}

#[test]
fn file_seek_tell() {
    with(|guest| {
        let fd = guest
            .open("file", CREATE, READ | WRITE | SEEK | TELL)
            .unwrap();
        assert_eq!(guest.seek(fd, 0, 1), Ok(0));
        assert_eq!(guest.write(fd, &[0; 100]), (SUCCESS, 100));
        assert_eq!(guest.seek(fd, 0, 1), Ok(100));
        assert_eq!(guest.seek(fd, -50, 1), Ok(50));
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.seek(fd, 1_000, 1), Ok(1_000));
        assert_eq!(guest.seek(fd, -2_000, 1), Err(EINVAL));
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.read(fd, 100).unwrap().len(), 100);
        assert_eq!(guest.seek(fd, 0, 1), Ok(100));
    });
}

#[test]
fn file_truncation() {
    with(|guest| {
        let fd = guest.create("file");
        assert_eq!(
            guest.write(fd, b"this content will be truncated!"),
            (SUCCESS, 31)
        );
        guest.close(fd);
        let fd = guest
            .open("file", CREATE | TRUNCATE, ALL & !READDIR)
            .unwrap();
        assert_eq!(guest.read(fd, 16).unwrap(), b"");
        assert_eq!(guest.stat(fd).size, 0);
    });
}

#[test]
fn file_unbuffered_write() {
    with(|guest| {
        make_file(guest, "file");
        let reader = guest.open("file", 0, READ).unwrap();
        let writer = guest.open("file", 0, WRITE).unwrap();
        assert_eq!(guest.write(writer, &[1]), (SUCCESS, 1));
        assert_eq!(guest.read(reader, 5).unwrap(), [1]);
    });
}

#[test]
fn path_open_read_write() {
    with(|guest| {
        make_file(guest, "file");
        let reader = guest.open("file", 0, READ).unwrap();
        assert_eq!(guest.rights(reader).0 & (READ | WRITE), READ);
        assert_eq!(guest.read(reader, 100).unwrap(), b"");
        assert_eq!(guest.write(reader, &[1; 50]).0, EBADF);
        let writer = guest.open("file", 0, WRITE).unwrap();
        assert_eq!(guest.rights(writer).0 & (READ | WRITE), WRITE);
        assert_eq!(guest.read(writer, 100), Err(EBADF));
        assert_eq!(guest.write(writer, &[1; 50]), (SUCCESS, 50));
        let both = guest.open("file", 0, READ | WRITE | FILESTAT).unwrap();
        assert_eq!(guest.read(both, 100).unwrap(), [1; 50]);
        assert_eq!(guest.write(both, &[2; 25]), (SUCCESS, 25));
        assert_eq!(guest.stat(both).size, 75);
    });
}

#[test]
fn pwrite_with_append() {
    with(|guest| {
        let opened = guest.open_in((ROOT, 0), "file", CREATE, (ALL, 0), APPEND);
        let fd = opened.unwrap();
        assert_eq!(guest.write(fd, b"ab"), (SUCCESS, 2));
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.write(fd, b"cd"), (SUCCESS, 2));
        assert_eq!(guest.seek(fd, 0, 1), Ok(4));
        guest.buffers(0, &[(DATA, 3)]);
        assert_eq!(guest.errno("fd_pwrite", &[fd, 0, 1, 0, RESULT]), SUCCESS);
        assert_eq!(guest.seek(fd, 0, 1), Ok(4));
        assert_eq!(guest.seek(fd, 0, 2), Ok(7), "at the end, as Linux has it");
    });
}
