"""Reading a student's Python without running it: standard library `ast` only, nothing imported.

    parse         bytes of one file → a syntax tree, or the reason why not
    scan          a tree → names resolved through imports and aliases, with what guards each place
    facts         one file → imports, uses of libraries, files opened and written, …
    imports       entry files → the modules they need (the import closure)
    command_line  how a script takes its arguments, and which accepted form suits it
    diagnosis     a traceback of a student's run → its true reason in the student's terms
    rules         what the assignment allows and forbids

What this room cannot see (names built at run time, `exec` of strings) is the sandbox's business:
a student's ordinary program must never be accused of something it does not do.
"""
