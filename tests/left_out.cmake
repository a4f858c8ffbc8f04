# Which tests a build leaves out, because another build of the same run has looked at the same. release and debug
# run all; so does every build with JINI_TEST_ALL (tools/test --long). Every build compiles all of them.

if(JINI_TEST_ALL)
    set(left_out)
elseif(JINI_SANITIZE STREQUAL "thread")
    set(left_out
        # Functions of their arguments, and files that one thread plays back.
        "base-(bytes|document|document_short|hash|text|text_characters|tuple)" "codec-.*" "faults-.*" "fuzz-.*"
        "generations-.*" "images-pack_(crafted|file|format|full|path|recover|scan)" "ledger-.*"
        "limits-(algorithm|period|quota|slot|table_process|table_room|text)" "render-.*" "store-format"
        "crash-(powerloss.*|store_powerloss)"
        # One work of few threads, again and again; other tests do that work.
        "crash-(arrows|faults|faults_work|store_faults)" "archive-crash" "images-pack_crash"
        # A command has one thread beside the engine's: the main job stands for all.
        "integration-cli-(accounts|backup|credits|events|files|help|images|ledger|output|packs|processes|queue)")
elseif(JINI_SANITIZE)
    set(left_out
        # What opens a damaged database is looked at by the unit tests.
        "crash-(powerloss.*|store_powerloss)" "faults-.*"
        # The same command as in the others, or more of it.
        "integration-cli-(demo|help|output|processes)")
elseif(JINI_TEST_UNITS_ONLY)
    # What another compiler makes of a function shows in the unit tests.
    set(left_out "crash-.*" "integration-.*" "limits-slot" "faults-.*" "fuzz-.*")
endif()
list(JOIN left_out "|" left_out)

# jini_test(NAME COMMAND...), unless it is left out. out: whether it was added
function(jini_test name out)
    set(${out} OFF PARENT_SCOPE)
    if(name MATCHES "^(${left_out})$")
        return()
    endif()
    add_test(NAME ${name} COMMAND ${ARGN})
    set_tests_properties(${name} PROPERTIES TIMEOUT 7200 SKIP_RETURN_CODE 77)
    set(${out} ON PARENT_SCOPE)
endfunction()
