use super::*;
use crate::journal::tests::{entry, head};
use crate::samples;

fn start() -> Timestamp {
    "2026-11-22T17:44:13.25Z".parse().unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn all_files(record: &RunRecord) -> Vec<String> {
    let mut names: Vec<String> = Format::of(record)
        .map(|f| f.file_name(LevelUnit::Vus).to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn text_is_added_as_far_as_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.md");
    assert!(append_within(&path, "one\n", 10).unwrap());
    assert!(append_within(&path, "two\n", 10).unwrap());
    assert!(!append_within(&path, "three\n", 10).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    let error = append_within(dir.path(), "x", 1 << 20).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
}

#[test]
fn a_run_leaves_every_report_in_its_folder_and_nothing_else() {
    let out = tempfile::tempdir().unwrap();
    let record = samples::interrupted();
    let mut store = Store::create(out.path(), &head("gateway"), start()).unwrap();
    assert_eq!(store.dir(), out.path().join("gateway/2026-11-22T17-44-13Z"));
    store
        .append_entry(&entry(record.probes[0].clone()))
        .unwrap();
    let written = store.finish(&record).unwrap();
    assert!(written.trouble.is_none());
    assert_eq!(written.dir, store.dir());
    let mut files = all_files(&record);
    files.push(JOURNAL.to_owned());
    files.sort();
    assert_eq!(names(&written.dir), files);
    assert_eq!(read_record(&written.dir).unwrap(), record);
}

#[test]
fn what_was_written_is_gone_on_with_and_a_torn_line_cut_off() {
    let out = tempfile::tempdir().unwrap();
    let record = samples::found();
    let mut store = Store::create(out.path(), &head("p"), start()).unwrap();
    let dir = store.dir().to_owned();
    store
        .append_entry(&entry(record.probes[0].clone()))
        .unwrap();
    let error = Store::reopen(&dir).unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    drop(store);
    let mut file = OpenOptions::new()
        .append(true)
        .open(dir.join(JOURNAL))
        .unwrap();
    file.write_all(b"12345678 {\"told\":{\"as").unwrap();
    let (mut again, journal) = Store::reopen(&dir).unwrap();
    assert!(journal.torn);
    assert_eq!(journal.entries.len(), 1);
    again
        .append_entry(&entry(record.probes[1].clone()))
        .unwrap();
    drop(again);
    let (_, journal) = Store::reopen(&dir).unwrap();
    assert!(!journal.torn);
    let probes: Vec<_> = journal.entries.into_iter().map(|e| e.probe).collect();
    assert_eq!(probes, record.probes[..2]);
    let error = Store::reopen(out.path()).unwrap_err().to_string();
    assert!(error.contains("no journal.jsonl"), "{error}");
}

#[test]
fn what_could_not_be_written_is_brought_along_by_the_next() {
    let out = tempfile::tempdir().unwrap();
    let record = samples::found();
    let mut store = Store::create(out.path(), &head("p"), start()).unwrap();
    let dir = store.dir().to_owned();
    // A disk that is full after half a line.
    let line = journal::entry_line(&entry(record.probes[0].clone())).unwrap();
    let good = store.file.try_clone().unwrap();
    store.file.write_all(&line[..line.len() / 2]).unwrap();
    store.file = File::open("/dev/null").unwrap();
    assert!(
        store
            .append_entry(&entry(record.probes[0].clone()))
            .is_err()
    );
    store.file = good;
    store
        .append_entry(&entry(record.probes[1].clone()))
        .unwrap();
    drop(store);
    let (_, journal) = Store::reopen(&dir).unwrap();
    let probes: Vec<_> = journal.entries.into_iter().map(|e| e.probe).collect();
    assert_eq!(probes, record.probes[..2]);
}

#[test]
fn a_ramp_leaves_its_files_in_a_folder_that_is_told_from_a_search() {
    let out = tempfile::tempdir().unwrap();
    let record = samples::ramp();
    let mut store = Store::create_ramp(out.path(), "gateway", start()).unwrap();
    let dir = store.dir().to_owned();
    assert_eq!(dir, out.path().join("gateway/ramp-2026-11-22T17-44-13Z"));
    for (i, stage) in record.stages.iter().enumerate() {
        store.append_stage(stage).unwrap();
        let text = fs::read_to_string(dir.join(STAGES)).unwrap();
        assert_eq!(text.lines().count(), i + 1);
        let back: StageRecord = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(&back, stage);
    }
    store.finish(&record).unwrap();
    let wanted = [
        "junit.xml",
        "log.csv",
        "ramp.json",
        "ramp.png",
        "report.html",
        "report.md",
        "seconds.csv",
        "stages-excel.csv",
        "stages.csv",
    ];
    assert_eq!(names(&dir), wanted);
    assert_eq!(read_ramp(&dir).unwrap(), Some(record.clone()));
    assert_eq!(read_ramp(&dir.join("ramp.json")).unwrap(), Some(record));
    // A folder of a search is none of a ramp, and the other way round.
    let run = Store::create(out.path(), &head("gateway"), start()).unwrap();
    run.finish(&samples::found()).unwrap();
    let later = start() + jiff::SignedDuration::from_secs(60);
    let later = Store::create(out.path(), &head("gateway"), later).unwrap();
    assert_eq!(read_ramp(run.dir()).unwrap(), None);
    assert_eq!(
        searches(out.path(), "gateway"),
        [run.dir()],
        "one has no result yet"
    );
    later.finish(&samples::found()).unwrap();
    assert_eq!(searches(out.path(), "gateway"), [later.dir(), run.dir()]);
    assert_eq!(searches(out.path(), "nobody"), [""; 0].map(PathBuf::from));
    fs::write(dir.join("ramp.json"), "{\"schema_version\": 1,").unwrap();
    let error = read_ramp(&dir).unwrap_err().to_string();
    assert!(error.contains("the result is incomplete"), "{error}");
}

#[test]
fn two_runs_in_the_same_second_get_their_own_folders() {
    let out = tempfile::tempdir().unwrap();
    let _first = Store::create(out.path(), &head("p"), start()).unwrap();
    let second = Store::create(out.path(), &head("p"), start()).unwrap();
    assert!(second.dir().ends_with("p/2026-11-22T17-44-13Z-2"));
}

#[test]
fn every_judged_probe_is_on_the_disk_at_once() {
    let out = tempfile::tempdir().unwrap();
    let record = samples::broke_at_minimum();
    let mut store = Store::create(out.path(), &head("p"), start()).unwrap();
    for (i, probe) in record.probes.iter().enumerate() {
        store.append_entry(&entry(probe.clone())).unwrap();
        let journal = journal::read(&fs::read(store.dir().join(JOURNAL)).unwrap()).unwrap();
        assert_eq!(journal.entries.len(), i + 1);
        assert_eq!(&journal.entries[i].probe, probe);
    }
}

#[test]
fn a_file_in_the_way_is_told_at_once_with_the_way_out() {
    // Permissions would not do: root may write anywhere.
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("reports");
    fs::write(&file, "in the way").unwrap();
    let error = Store::create(&file, &head("p"), start())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("reports") && error.contains("--out DIR"),
        "{error}"
    );
}

#[test]
fn a_vanished_folder_costs_nothing_measured() {
    let out = tempfile::tempdir().unwrap();
    let record = samples::interrupted();
    let mut store = Store::create(out.path(), &head("vanished"), start()).unwrap();
    fs::remove_dir_all(out.path().join("vanished")).unwrap();
    assert!(
        store
            .append_entry(&entry(record.probes[0].clone()))
            .is_err()
    );
    let written = store.finish(&record).unwrap();
    assert!(written.dir.starts_with(std::env::temp_dir()));
    assert!(written.trouble.unwrap().to_string().contains("vanished"));
    assert_eq!(names(&written.dir), all_files(&record));
    assert_eq!(read_record(&written.dir).unwrap(), record);
    fs::remove_dir_all(written.dir).unwrap();
}

#[test]
fn a_record_that_cannot_be_rendered_leaves_its_probes() {
    let out = tempfile::tempdir().unwrap();
    let mut record = samples::interrupted();
    let mut store = Store::create(out.path(), &head("p"), start()).unwrap();
    store
        .append_entry(&entry(record.probes[0].clone()))
        .unwrap();
    record.probes[0].hold_s = f64::NAN;
    let written = store.finish(&record).unwrap();
    let trouble = written.trouble.unwrap().to_string();
    assert!(trouble.contains("probes[0].hold_s"), "{trouble}");
    assert!(written.dir.join(JOURNAL).is_file());
}

#[test]
fn a_folder_without_a_result_is_told() {
    let out = tempfile::tempdir().unwrap();
    let error = read_record(out.path()).unwrap_err().to_string();
    assert!(error.contains("result.json"), "{error}");
    fs::write(out.path().join("result.json"), "{\"schema_version\": 1,").unwrap();
    let error = read_record(out.path()).unwrap_err().to_string();
    assert!(error.contains("the result is incomplete"), "{error}");
}

#[test]
fn profile_names_become_one_path_component() {
    for (name, want) in [
        ("gateway-512mb", "gateway-512mb"),
        ("../../etc/passwd", "etc-passwd"),
        ("a b/c", "a-b-c"),
        ("..", "profile"),
        ("", "profile"),
        ("http://127.0.0.1:80", "http---127.0.0.1-80"),
    ] {
        assert_eq!(path_safe(name), want);
    }
}
