//! The two READMEs say the same, and what they say of the demo is so.

const ENGLISH: &str = include_str!("../README.md");
const CHINESE: &str = include_str!("../README.zh-CN.md");
const DEMO: &str = include_str!("../examples/demo.sh");

/// The code in the first cell of every row of every table, row by row.
fn first_cells(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|row| row.split(" |").next());
    rows.map(|cell| cell.split('`').skip(1).step_by(2).collect()).filter(|words: &Vec<_>| !words.is_empty()).collect()
}

#[test]
fn both_readmes_have_the_same_tables_and_commands() {
    let commands = |text: &'static str| -> Vec<&'static str> {
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.flat_map(str::lines).map(|line| line.split('#').next().unwrap_or("").trim_end()).collect()
    };
    assert_eq!(commands(ENGLISH), commands(CHINESE));
    assert_eq!(first_cells(ENGLISH), first_cells(CHINESE));
    let sections = |text: &str| text.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections(ENGLISH), sections(CHINESE));
}

#[test]
fn the_readme_prints_the_line_that_the_demo_prints() {
    let request = DEMO.lines().find_map(|line| line.strip_prefix("request='")?.strip_suffix('\'')).expect("a request");
    let line = DEMO.lines().find_map(|line| line.strip_prefix("echo \"curl ")?.strip_suffix('"')).expect("a curl line");
    let printed = format!("curl {}", line.replace("$port", "8888").replace("$request", request));
    assert!(ENGLISH.lines().any(|line| line == printed), "{printed}");
}

/// The table of tests/README.md that says where the cases of the specification are: numbers and place.
fn cases() -> Vec<(Vec<u64>, String)> {
    let text = include_str!("README.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Where the cases")).expect("the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let cells = rows.map(|row| row.trim_end_matches(" |").split(" | ").collect::<Vec<_>>());
    cells.map(|cells| (cells[1].split(' ').map(|n| n.parse().expect("a number")).collect(), cells[2].into())).collect()
}

#[test]
fn every_case_of_the_specification_is_where_the_list_says() {
    let read = |path: &str| {
        let path = format!("{}/tests/{path}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let mut fixtures = std::collections::BTreeMap::<String, Vec<u64>>::new();
    let mut all: Vec<u64> = Vec::new();
    for (numbers, place) in cases() {
        all.extend(&numbers);
        let words: Vec<&str> = place.split('`').skip(1).step_by(2).collect();
        match words[..] {
            [file] => fixtures.entry(file.into()).or_default().extend(numbers),
            [file, name] => assert!(read(file).contains(&format!("fn {name}()")), "{file} has no test {name}"),
            _ => panic!("{place}"),
        }
    }
    for (file, mut listed) in fixtures {
        let lines = read(&file);
        let cases = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a case"));
        let mut there: Vec<u64> = cases.filter_map(|case| case["n"].as_u64()).collect();
        there.sort_unstable();
        listed.sort_unstable();
        assert_eq!(there, listed, "{file}");
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), count), (262, 262), "each case once");
}
