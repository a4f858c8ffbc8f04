# Compiler settings of the whole tree, and jini_target(), which gives them to a target.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

set(JINI_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined' or 'thread'")
option(JINI_FUZZ "Build libFuzzer programs instead of the other tests (needs clang)" OFF)
option(JINI_TEST_UNITS_ONLY "Run no tests of crashes, several processes and the command" OFF)
option(JINI_TEST_ALL "Run all tests, those too that a build like this leaves out" OFF)
option(JINI_WERROR "Warnings are errors" ${PROJECT_IS_TOP_LEVEL})

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

# Links four times as fast as the default linker. What is installed is linked by that.
find_program(JINI_LLD ld.lld)
mark_as_advanced(JINI_LLD)
function(jini_link_fast)
    if(JINI_LLD)
        add_link_options(-fuse-ld=lld)
    endif()
endfunction()

function(jini_target target)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE _FILE_OFFSET_BITS=64)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
        -Wwrite-strings -Wundef -Wformat=2 -fno-strict-aliasing -fno-common
        $<$<BOOL:${JINI_WERROR}>:-Werror>
        $<$<CONFIG:Debug>:-O1>
        $<$<NOT:$<CONFIG:Debug>>:-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2>)
    # RelWithDebInfo sets NDEBUG. Assertions stay on all the same; what is off is the default of store.run_twice.
    if(JINI_SANITIZE)
        target_compile_options(${target} PRIVATE
            -fsanitize=${JINI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
            -g1) # lines are all that reports tell
        target_link_options(${target} PRIVATE -fsanitize=${JINI_SANITIZE})
    endif()
    if(JINI_FUZZ)
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
endfunction()
