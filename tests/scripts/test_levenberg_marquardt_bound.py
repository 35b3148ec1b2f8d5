from scripts.levenberg_marquardt_bound import CASES, main, solve


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "levenberg_marquardt_bound", tmp_path)


def test_bound_holds_and_the_solution_follows_levenberg_marquardt():
    for case in CASES:
        distances, flows = solve(case, times=101)
        assert all(one.holds for one in distances)
        # From a mass of 1e-4 on it is closer to this flow than the flow to Newton's.
        for one in distances[2:]:
            assert (100 * one.measured[20:] < flows[20:]).all()
