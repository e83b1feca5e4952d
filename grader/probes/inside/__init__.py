"""Programs of the grader that run in the sandbox, beside the student's code: they answer, and judge
nothing. Only this folder is shown there."""
