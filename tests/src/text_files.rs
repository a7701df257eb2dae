//! CSV and JSON files as people have them: the inputs of `sql/text_files.slt`.

use std::fs;
use std::path::Path;

/// Writes the files into a folder.
pub(crate) fn write_text_files(folder: &Path) {
    let small: [(&str, &str); 29] = [
        ("swap/a.csv", "name,review\nann,good phone\n"),
        ("swap/b.csv", "review,name\nbad phone,bob\n"),
        ("svc/a.csv", "id,review\n1,good\n2,bad\n"),
        ("svc/b.csv", "id,review,stars\n3,fine,4\n"),
        ("types/a.csv", "id,v\n1,12\n"),
        ("types/b.csv", "v,id\n1.5,2\n"),
        ("types/c.csv", "id,v\n3,n/a\n"),
        (
            "numbers.csv",
            "zip,big,exact,mixed,special\n007,12345678901234567890,0.12345678901234567890,1,1.5\n010,1,2.5,1.5,NaN\n",
        ),
        ("times.csv", "d,t,z\n2026-11-30,2026-11-30T08:00:00.5,2026-11-30T08:00:00+02:00\n"),
        ("marks.csv", "\u{feff}id,t\r\n1,\"a\r\nb\"\r\n\r\n2,c\r\n\r\n"),
        ("nulls.csv", "id,t\n1,\"\"\n2,\n3,x\n"),
        ("one_column.csv", "t\na\n\n\"\"\n"),
        ("header.csv", "id,\"full name\"\n"),
        ("twice.csv", "a,a,\n1,2,3\n"),
        ("empty.csv", ""),
        ("comments.csv", "# made by hand\nid;t\n1;x\n# and more\n2;\"y;z\"\n"),
        ("ragged.csv", "id,t\n1,x\n2,y,z\n"),
        ("short.csv", "id,t,u\n1,x,y\n2,z\n"),
        ("open.csv", "id,t\n1,x\n2,\"y\n3,z\n"),
        ("array.json", "[{\"id\":1,\"review\":\"good\"},{\"id\":2,\"review\":\"bad\"}]\n"),
        ("bom.json", "\u{feff}{\"id\":1,\"review\":\"good\"}\n\n{\"id\":2,\"review\":\"bad\"}\n"),
        ("pretty.json", "[\n  {\"id\":1,\n \"review\":\"good\"},\n  {\"id\":2, \"review\":\"bad\"}\n]\n"),
        (
            "objects.json",
            "{\n  \"id\": 1,\n  \"review\": \"good\"\n}\n{\n  \"id\": 2,\n  \"review\": \"bad\"\n}\n",
        ),
        ("list.json", "{\"id\":1,\"t\":\"x\"}\n{\"id\":2,\"t\":[\"x\",\"y\"]}\n"),
        (
            "values.json",
            "{\"n\":18446744073709551615,\"s\":\"007\",\"m\":true,\"f\":1}\n{\"n\":1,\"s\":\"8\",\"m\":\"x\",\"f\":1.5}\n",
        ),
        ("digits.json", "{\"n\":123456789012345678901234567890}\n{\"n\":-1}\n"),
        (
            "structs.json",
            "{\"l\":[{\"a\":1},null,{\"b\":\"x\"}],\"s\":{\"a\":1}}\n{\"l\":[],\"s\":{\"b\":{\"c\":2.5}}}\n{\"l\":null}\n",
        ),
        ("broken.json", "{\"id\":1}\n{\"id\" 2}\n"),
        ("keys/a.json", "{\"id\":1,\"t\":\"x\"}\n"),
    ];
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(path, text).expect(name);
    };
    small.iter().for_each(|(name, text)| write(name, text));
    write("keys/b.json", "{\"u\":2.5,\"id\":2}\n");
    let rows = |rows: usize, row: &dyn Fn(usize) -> String| (0..rows).map(row).collect::<String>();
    // More lines than are looked at by others, and records that begin in the middle of every piece that is read at once.
    let late = |late: &str| {
        rows(1501, &|row| match row {
            1500 => format!("1500,{late}\n"),
            row => format!("{row},{row}\n"),
        })
    };
    write("late_float.csv", &format!("id,n\n{}", late("12.5")));
    write("late_text.csv", &format!("id,n\n{}", late("n/a")));
    let review = |row: usize| format!("{row},\"review {row}, \"\"good\"\"\nsecond line\n\nlast line\"\n");
    write("line_ends.csv", &format!("id,review\n{}", rows(3000, &review)));
    let number = |row: usize| match row {
        1500 => "{\"id\":1500,\"n\":1.5,\"late\":\"here\"}\n".to_owned(),
        row => format!("{{\"id\":{row},\"n\":{row}}}\n"),
    };
    write("late.json", &rows(1501, &number));
    // An object in each line as far as is looked at first, then objects over several lines, with objects in them that have a line.
    let nested = |row: usize| match row {
        ..12_000 => format!("{{\"id\":{row},\"k\":{{\"id\":-1}}}}\n"),
        row if row % 3 == 0 => format!("{{\"id\":{row},\r\n\r\n\"k\":{{\r\n\"id\":-1}}}}\r\n\n"),
        row if row % 3 == 1 => format!("{{\"id\":\n{row},\n\"t\":\"}} {{\",\"k\":\n{{\"id\":-1}}\n}}"),
        row => {
            format!("{{\n\"l\": [\n{{\"id\":-2}},\n{{\"id\":-2}}\n],\n\"k\":\n{{\"id\":-1}},\"id\":{row}}}\n")
        }
    };
    write("turns.json", &rows(15_000, &nested));
    let quoted = |row: usize| format!("{row},\"a\n{row},b\n\"\n");
    write("quoted.csv", &format!("id,t\n{}", rows(200, &quoted)));
}
